import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { MirrorAddress } from './received-request.ts'

const hostPattern = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

export interface AddressSettings {
  /** The mirror's address as clients know it, without the prefix; otherwise taken from each request. */
  readonly publicUrl: string | undefined
  /** Whether an address is a proxy whose `X-Forwarded-*` headers are believed. */
  readonly trustsProxy: (address: string, hop: number) => boolean
}

/** The mirror's address as the sender of `request` knows it. `prefix`: what it put before the Hub's path. */
export function mirrorAddress(request: IncomingMessage, prefix: string, settings: AddressSettings): MirrorAddress {
  return settings.publicUrl === undefined
    ? new RequestedAddress(request, prefix, settings)
    : configuredAddress(settings.publicUrl, prefix)
}

const configured = new Map<string, MirrorAddress>()

function configuredAddress(publicUrl: string, prefix: string): MirrorAddress {
  const url = publicUrl + prefix
  let address = configured.get(url)
  if (address === undefined) {
    address = { url, path: new URL(url).pathname.replace(/\/$/, '') }
    configured.set(url, address)
  }
  return address
}

/** Taken from the request; most replies need its path only. */
class RequestedAddress implements MirrorAddress {
  readonly path: string
  readonly #request: IncomingMessage
  readonly #settings: AddressSettings

  constructor(request: IncomingMessage, prefix: string, settings: AddressSettings) {
    this.path = prefix
    this.#request = request
    this.#settings = settings
  }

  get url(): string {
    const { headers, socket } = this.#request
    const trusted = this.#settings.trustsProxy(socket.remoteAddress ?? '', 0)
    const protocol =
      (trusted && firstOf(headers['x-forwarded-proto'])) || (socket instanceof TLSSocket ? 'https' : 'http')
    const host = (trusted && firstOf(headers['x-forwarded-host'])) || headers.host || ''
    const sound = hostPattern.test(host) ? host : `${socket.localAddress}:${socket.localPort}`
    return `${protocol === 'https' ? 'https' : 'http'}://${sound}${this.path}`
  }
}

function firstOf(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',')[0]?.trim()
}
