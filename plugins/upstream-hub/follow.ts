import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import { describeError, type Exchange, HubFailure, type PluginLogger } from 'mirrorface/plugin'
import picomatch from 'picomatch'
import type { DirectClient } from './direct-client.ts'
import { discard, type HubAnswer, headerOf, isRedirect, withoutHeaders } from './hub-answer.ts'

const mostHops = 5

/** Times that a body which broke off is asked for again, from where it broke. */
const mostResumptions = 5

/** What the last hop knows; everything else is the Hub's own first word. */
const bodyHeaders = ['content-length', 'content-range', 'accept-ranges', 'content-type', 'content-encoding']

/** Of the Hub's first answer, what would mislead once the redirect has been followed. */
const firstHopOnly = new Set([...bodyHeaders, 'location', 'etag', 'transfer-encoding', 'connection', 'keep-alive'])

/**
 * Follows redirects for clients that can't reach the Hub's CDN themselves: only to hosts that the
 * configuration names, with no token outside the Hub's own origin, and through a broken connection
 * without the client noticing.
 */
export class RedirectFollower {
  readonly #client: DirectClient
  readonly #origin: string
  readonly #isAllowed: (target: URL) => boolean
  readonly #logger: PluginLogger

  constructor(client: DirectClient, origin: string, followHosts: readonly string[], logger: PluginLogger) {
    this.#client = client
    this.#origin = origin
    this.#logger = logger
    const matches = picomatch([...followHosts])
    // An address is reached only if it is named as it stands: a pattern such as `*` must not open the
    // way into the private network, and a name is checked as the Hub gave it.
    this.#isAllowed = ({ host, hostname }) => {
      if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0)
        return followHosts.includes(hostname) || followHosts.includes(host)
      return matches(host) || matches(hostname)
    }
  }

  /** Whether a redirect of the Hub leads to where MirrorFace goes itself; one to the Hub is the client's. */
  leadsAway(answer: HubAnswer): boolean {
    const location = headerOf(answer.headers, 'location')
    return (
      isRedirect(answer.status) && location !== undefined && new URL(location, this.#origin).origin !== this.#origin
    )
  }

  /** The content behind a redirect, as one answer with the headers of all hops. */
  async follow(exchange: Exchange, first: HubAnswer): Promise<HubAnswer> {
    discard(first)
    const { method, headers } = exchange.request
    const size = headerOf(first.headers, 'x-linked-size')
    const ownHeaders = withoutHeaders(first.headers, firstHopOnly)
    const etag = headerOf(first.headers, 'x-linked-etag') ?? headerOf(first.headers, 'etag')
    if (etag !== undefined) ownHeaders.push('ETag', etag)
    if (method === 'HEAD' && size !== undefined) {
      const known = [
        ...ownHeaders,
        'Content-Length',
        size,
        'Accept-Ranges',
        'bytes',
        'Content-Type',
        'application/octet-stream',
      ]
      return { status: 200, reason: 'OK', headers: known, body: Readable.from([]) }
    }
    const target = new URL(headerOf(first.headers, 'location') ?? '', this.#origin)
    // `If-Range` names the Hub's ETag, which the CDN does not know: it is compared here.
    const ifRange = headers['if-range']
    const range = ifRange === undefined || ifRange === etag ? headers.range : undefined
    const last = await this.#fetch(target, method === 'HEAD' ? 'HEAD' : 'GET', range, exchange.signal)
    if (last.status !== 200 && last.status !== 206 && last.status !== 416) {
      discard(last)
      throw new Error(`${target.host} answered ${last.status}`)
    }
    const merged = bodyHeaders.flatMap((name) => {
      const value = headerOf(last.headers, name)
      return value === undefined ? [] : [name, value]
    })
    return {
      status: last.status,
      reason: '',
      headers: [...ownHeaders, ...merged],
      body: this.#resumed(last, target, exchange),
    }
  }

  async #fetch(url: URL, method: 'GET' | 'HEAD', range: string | undefined, signal: AbortSignal): Promise<HubAnswer> {
    let target = url
    for (let hop = 0; hop < mostHops; hop++) {
      this.#assertAllowed(target)
      const headers = { 'accept-encoding': 'identity', ...(range !== undefined && { range }) }
      const answer = await this.#client.ask(target, { method, headers, signal })
      const location = headerOf(answer.headers, 'location')
      if (!isRedirect(answer.status) || location === undefined) return answer
      discard(answer)
      target = new URL(location, target)
    }
    throw new HubFailure('RedirectLoop', 502, `the Hub redirects more than ${mostHops} times`)
  }

  #assertAllowed(target: URL): void {
    const isHttp = target.protocol === 'https:' || (target.protocol === 'http:' && this.#origin.startsWith('http:'))
    if (isHttp && this.#isAllowed(target)) return
    throw new HubFailure(
      'RedirectRefused',
      502,
      `the Hub redirects to ${target.protocol}//${target.host}, which is not among followHosts`,
    )
  }

  /** The bytes of an answer, asked for again from where they broke off. */
  #resumed(answer: HubAnswer, target: URL, { request, signal, id }: Exchange): Readable {
    const span = spanOf(answer)
    if (span === undefined || request.method === 'HEAD') return answer.body
    const etag = headerOf(answer.headers, 'etag')
    const fetchFrom = async (offset: number): Promise<Readable> => {
      const next = await this.#fetch(target, 'GET', `bytes=${offset}-${span.end}`, signal)
      if (next.status === 206 && headerOf(next.headers, 'etag') === etag) return next.body
      discard(next)
      throw new Error(`the rest cannot be fetched: ${target.host} answered ${next.status}`)
    }
    const log = (offset: number, error: unknown) =>
      this.#logger.warn({ request: id, host: target.host, offset, reason: describeError(error) }, 'resuming a download')
    return Readable.from(resume(answer.body, span, fetchFrom, log, signal), {
      objectMode: false,
      highWaterMark: 1 << 20,
    })
  }
}

async function* resume(
  first: Readable,
  span: { start: number; end: number },
  fetchFrom: (offset: number) => Promise<Readable>,
  log: (offset: number, error: unknown) => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let offset = span.start
  let body = first
  for (let attempt = 0; ; attempt++) {
    try {
      for await (const chunk of body) {
        offset += (chunk as Buffer).length
        yield chunk as Buffer
      }
      if (offset > span.end) return
      throw new Error(`the body ended ${span.end + 1 - offset} bytes early`)
    } catch (error) {
      if (signal.aborted || attempt === mostResumptions) throw error
      log(offset, error)
      body = await fetchFrom(offset)
    }
  }
}

/** Which bytes of the file an answer carries; `undefined` where it does not say. */
function spanOf({ status, headers }: HubAnswer): { start: number; end: number } | undefined {
  if (status === 206) {
    const match = /^bytes (\d+)-(\d+)\//.exec(headerOf(headers, 'content-range') ?? '')
    return match === null ? undefined : { start: Number(match[1]), end: Number(match[2]) }
  }
  const length = Number(headerOf(headers, 'content-length') ?? Number.NaN)
  return status === 200 && length > 0 ? { start: 0, end: length - 1 } : undefined
}
