import type { IncomingMessage } from 'node:http'
import proxyAddr from 'proxy-addr'
import type { ServerSettings } from './context.ts'

const hostPattern = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** The address that the nearest trusted proxy vouches for, or that of the connection. */
export function clientAddress(request: IncomingMessage, trusts: ServerSettings['trustsProxy']): string {
  if (request.headers['x-forwarded-for'] === undefined) return request.socket.remoteAddress ?? ''
  return request.socket.remoteAddress === undefined ? '' : proxyAddr(request, trusts)
}

/**
 * The mirror's own address as this client knows it, for URLs in `Location` and `Link`:
 * `X-Forwarded-Proto` and `-Host` count only from a trusted proxy.
 */
export function publicUrl(request: IncomingMessage, prefix: string, settings: ServerSettings): string {
  if (settings.publicUrl !== undefined) return settings.publicUrl + prefix
  const trusted = settings.trustsProxy(request.socket.remoteAddress ?? '', 0)
  const protocol = (trusted && firstOf(request.headers['x-forwarded-proto'])) || 'http'
  const host = (trusted && firstOf(request.headers['x-forwarded-host'])) || request.headers.host || ''
  const sound = hostPattern.test(host) ? host : `${request.socket.localAddress}:${request.socket.localPort}`
  return `${protocol === 'https' ? 'https' : 'http'}://${sound}${prefix}`
}

function firstOf(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',')[0]?.trim()
}
