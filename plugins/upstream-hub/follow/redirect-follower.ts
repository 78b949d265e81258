import { describeError, discard, type HeaderList, type PluginLogger } from 'mirrorface/plugin'
import { drain, headerOf, type WireAnswer, withoutHeaders } from '../transport/answer.ts'
import { UpstreamTimeout } from '../transport/failures.ts'
import type { Deadline } from '../transport/limits.ts'
import { ContentFailed } from './content-failed.ts'
import { isAnswerTo, type Span, singleRange, spanOf } from './content-range.ts'
import { type ContentServer, TooManyRedirects } from './content-server.ts'
import { conditionOf, isSameContent, type Pinned, pinnedBy, rangeFor } from './pinned.ts'
import { RedirectRefused } from './redirect-guard.ts'
import { NotResumable, ResumedBody } from './resumed-body.ts'

/** What is followed, and for whom. */
export interface FollowRequest {
  readonly id: string
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly deadline: Deadline
  readonly signal: AbortSignal
  /** That the content's own server asks for. */
  readonly contentHeaders?: Readonly<Record<string, string>>
  /** The absolute URL of a redirect's answer. */
  locationOf(headers: HeaderList): string | undefined
  /** Asks the upstream once more, past what is kept: signed URLs expire. */
  askAgain(signal: AbortSignal): Promise<WireAnswer>
}

/** The head of the upstream's answer, a redirect to another host. */
export interface Redirect {
  readonly headers: HeaderList
}

export interface FollowedAnswer {
  readonly status: number
  readonly headers: HeaderList
  readonly body: ResumedBody | Uint8Array | WireAnswer['body']
}

/** Of the content: the last hop knows. */
const ofContent = ['content-type', 'content-disposition', 'last-modified']

/** Of the redirect itself. */
const ofRedirect = new Set([
  'location',
  'etag',
  'content-length',
  'content-range',
  'content-encoding',
  'accept-ranges',
  'vary',
  'age',
  'expires',
  'cache-control',
  ...ofContent,
])

/** What a CDN says of a signed URL that expired, or was revoked. */
const expired = new Set([400, 401, 403, 410])

/** Gives the content behind redirects as one answer, through broken connections and expired URLs. */
export class RedirectFollower {
  readonly #server: ContentServer
  readonly #logger: PluginLogger

  constructor(server: ContentServer, logger: PluginLogger) {
    this.#server = server
    this.#logger = logger
  }

  /** Rejects where the content can't be had. */
  async follow(redirect: Redirect, request: FollowRequest): Promise<FollowedAnswer> {
    const pinned = pinnedBy(redirect.headers)
    const condition = conditionOf(request.headers, pinned)
    if (condition !== undefined) return { status: condition, headers: merged(redirect, pinned), body: new Uint8Array() }
    if (request.method === 'HEAD' && pinned.size !== undefined)
      return head(merged(redirect, pinned), pinned.size, 'application/octet-stream')
    const asked = request.method === 'HEAD' ? 'bytes=0-0' : singleRange(rangeFor(request.headers, pinned))
    const content = new Content(this.#server, request, redirect, pinned)
    // The Hub's CDN answers 400 to a plain GET of files beyond some tens of GB.
    const answer = await content.open(asked ?? 'bytes=0-', request.signal)
    this.#logger.debug({ request: request.id, host: content.host, status: answer.status }, 'redirect followed')
    return this.#answer(answer, asked, content, { redirect, pinned, request })
  }

  #answer(
    answer: WireAnswer,
    asked: string | undefined,
    content: Content,
    { redirect, pinned, request }: { redirect: Redirect; pinned: Pinned; request: FollowRequest },
  ): FollowedAnswer {
    const headers = merged(redirect, pinned, answer.headers)
    if (answer.status === 416) {
      discard(answer.body)
      const range = headerOf(answer.headers, 'content-range')
      const isEmpty = range !== undefined && /^bytes \*\/0$/.test(range)
      if (asked === undefined && isEmpty)
        return { status: 200, headers: [...headers, ['content-length', '0']], body: new Uint8Array() }
      return {
        status: 416,
        headers: range === undefined ? headers : [...headers, ['content-range', range]],
        body: new Uint8Array(),
      }
    }
    const span = spanOf(answer)
    if (answer.status === 206 && (span === undefined || !isAnswerTo(asked ?? 'bytes=0-', span)))
      throw refused(answer, `the Content-Range is not what was asked (${asked ?? 'bytes=0-'})`)
    if (span !== undefined && pinned.size !== undefined && span.total !== pinned.size)
      throw refused(answer, `it has ${span.total} bytes where the upstream announced ${pinned.size}`)
    if (request.method === 'HEAD') {
      discard(answer.body)
      return span === undefined
        ? { status: 200, headers, body: new Uint8Array() }
        : head(headers, span.total, undefined)
    }
    if (span === undefined) return { status: 200, headers, body: answer.body } // of unknown length: nothing to resume by
    const isPart = asked !== undefined && answer.status === 206
    // A server may give less of the whole than was asked; the rest is asked for next.
    const end = isPart ? span.end : span.total - 1
    const framed: HeaderList = [
      ...headers,
      ['accept-ranges', 'bytes'],
      ['content-length', String(end - span.start + 1)],
      ...(isPart ? ([['content-range', `bytes ${span.start}-${end}/${span.total}`]] as const) : []),
    ]
    return { status: isPart ? 206 : 200, headers: framed, body: this.#body(answer, { ...span, end }, content, request) }
  }

  #body(answer: WireAnswer, span: Span, content: Content, request: FollowRequest): ResumedBody {
    const tag = headerOf(answer.headers, 'etag')
    const body = new ResumedBody({
      first: answer.body,
      start: span.start,
      end: span.end,
      reopen: async (offset, signal) => (await content.resume(offset, span, tag, signal)).body,
      onResume: (offset, error) =>
        this.#logger.warn({ request: request.id, offset, reason: describeError(error) }, 'resuming a download'),
    })
    const stopWatching = request.deadline.watch(() => body.destroy(new UpstreamTimeout('the whole took too long')))
    const onAbort = () => body.destroy(request.signal.reason)
    request.signal.addEventListener('abort', onAbort, { once: true })
    body.once('close', () => {
      stopWatching()
      request.signal.removeEventListener('abort', onAbort)
    })
    return body
  }
}

/** Where one content is now: at a URL that may have to be renewed. */
class Content {
  readonly #server: ContentServer
  readonly #request: FollowRequest
  readonly #pinned: Pinned
  #url: string
  /** The tag of the CDN is compared only among answers of one URL. */
  #isRenewed = false

  constructor(server: ContentServer, request: FollowRequest, redirect: Redirect, pinned: Pinned) {
    this.#server = server
    this.#request = request
    this.#pinned = pinned
    this.#url = request.locationOf(redirect.headers) ?? ''
  }

  /** Where it lies now, for the log. */
  get host(): string {
    return hostOf(this.#url)
  }

  /** 200, 206 or 416; rejects for any other answer. */
  async open(range: string, signal: AbortSignal): Promise<WireAnswer> {
    const { deadline, contentHeaders } = this.#request
    const fetch = async () => {
      try {
        return await this.#server.get(this.#url, { ...contentHeaders, range }, deadline, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof RedirectRefused || error instanceof TooManyRedirects) throw error
        throw new ContentFailed(`${hostOf(this.#url)} did not answer`, { cause: error })
      }
    }
    let answer = await fetch()
    if (expired.has(answer.status)) {
      discard(answer.body)
      await this.#renew(signal)
      answer = await fetch()
    }
    if (answer.status === 200 || answer.status === 206 || answer.status === 416) return answer
    throw refused(answer, `${hostOf(this.#url)} answered ${answer.status}`)
  }

  /** The bytes from `offset` on, of the same content as before. */
  async resume(offset: number, span: Span, tag: string | undefined, signal: AbortSignal): Promise<WireAnswer> {
    const answer = await this.open(`bytes=${offset}-${span.end}`, signal)
    const found = spanOf(answer)
    const foundTag = headerOf(answer.headers, 'etag')
    const isSame = found?.total === span.total && (this.#isRenewed || foundTag === tag)
    if (answer.status === 206 && found?.start === offset && found.end <= span.end && isSame) return answer
    discard(answer.body)
    const host = new URL(this.#url).host
    if (answer.status === 206 && found?.start === offset && !isSame)
      throw new NotResumable(`${host} has other content by now`)
    throw new Error(
      `${host} does not give the rest: ${answer.status} ${headerOf(answer.headers, 'content-range') ?? ''}`,
    )
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const answer = await this.#request.askAgain(signal)
    drain(answer.body)
    const url = this.#request.locationOf(answer.headers)
    if (url === undefined) throw new Error(`the upstream gives no URL for the content any more: ${answer.status}`)
    if (!isSameContent(this.#pinned, pinnedBy(answer.headers)))
      throw new NotResumable('the upstream has other content by now')
    this.#url = url
    this.#isRenewed = true
  }
}

/** The headers of all hops: what the upstream said of the file, and what the last hop says of the bytes. */
function merged({ headers }: Redirect, { etag }: Pinned, last: HeaderList = []): HeaderList {
  const tag = etag ?? headerOf(last, 'etag')
  return [
    ...withoutHeaders(headers, ofRedirect),
    ...(tag === undefined ? [] : ([['etag', tag]] as const)),
    ...last.filter(([name]) => ofContent.includes(name)),
  ]
}

function head(headers: HeaderList, size: number, type: string | undefined): FollowedAnswer {
  const known: HeaderList = [
    ...headers,
    ['content-length', String(size)],
    ['accept-ranges', 'bytes'],
    ...(type === undefined ? [] : ([['content-type', type]] as const)),
  ]
  return { status: 200, headers: known, body: new Uint8Array() }
}

function refused(answer: WireAnswer, reason: string): Error {
  discard(answer.body)
  return new ContentFailed(reason)
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'its server'
}
