import { createHmac } from 'node:crypto'
import { type Asked, sendJson } from './asked.ts'
import { xetHash } from './metadata.ts'
import { sendContent } from './send.ts'
import type { StandInHub } from './stand-in-hub.ts'
import { reconstruction, sendXorb } from './xet.ts'

/** The hosts beside the Hub, in one: its CDN and storage, by signed URLs that expire, and the CAS server of Xet. */
export class Cdn {
  readonly #hub: StandInHub
  readonly #secret = 'stand-in'

  constructor(hub: StandInHub) {
    this.#hub = hub
  }

  /** A signed URL of a path there: `/xet/{sha256}` to download, `/lfs/{sha256}[/{part}]` to upload. */
  signed(path: string): string {
    const expires = Math.floor(Date.now() / 1000) + this.#hub.signedFor
    return `${this.#hub.cdnUrl}${path}?Expires=${expires}&Signature=${this.#signature(path, expires)}`
  }

  #signature(path: string, expires: number): string {
    return createHmac('sha256', this.#secret).update(`${path} ${expires}`).digest('hex')
  }

  async answer(asked: Asked): Promise<void> {
    const { request, response, url, fault } = asked
    if (/^\/v\d\//.test(url.pathname)) return await this.#answerXet(asked)
    const expires = Number(url.searchParams.get('Expires'))
    const signature = this.#signature(url.pathname, expires)
    if (url.searchParams.get('Signature') !== signature || expires < Date.now() / 1000) {
      response.writeHead(403).end('Request has expired')
      return
    }
    if (request.method === 'PUT') return await this.#hub.largeFiles.receive(asked)
    const file = this.#hub.findLargeFile(url.pathname.slice('/xet/'.length))
    if (file === undefined) return void response.writeHead(404).end()
    const headers = { ETag: `"${xetHash(file)}"`, 'Content-Type': 'application/octet-stream' }
    await sendContent(request, response, file.content, headers, fault)
  }

  /** The CAS server and the xorbs, which in reality are two more hosts. */
  async #answerXet({ request, response, url }: Asked): Promise<void> {
    const { cdnUrl } = this.#hub
    const [, version, what, hash = '', xorb] = url.pathname.split('/')
    if (what === 'telemetry') return void response.writeHead(200).end()
    // Clients try the second version first, and take 404 for its absence.
    const file = version === 'v2' ? undefined : this.#hub.findLargeFile((one) => xetHash(one) === hash)
    if (file === undefined) return void response.writeHead(404).end()
    if (xorb !== undefined) return await sendXorb(request, response, file.content, Number(xorb))
    const [, start = '0', end = String(file.content.size - 1)] =
      /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    if (Number(start) >= file.content.size) return void response.writeHead(416).end()
    const range = { start: Number(start), end: Math.min(file.content.size, Number(end) + 1) }
    const urlOf = (index: number) => `${cdnUrl}/v1/xorbs/${hash}/${index}`
    sendJson(response, reconstruction(file.content, hash, range, urlOf))
  }
}
