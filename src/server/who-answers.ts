import type { GgufReader } from '../gguf/index.ts'
import { describeError, Failure } from '../hub/index.ts'
import { type BodyReader, bodyOfBytes, type RequestBody, type Upstream } from '../plugin/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { withCacheControl } from './answers/cache-control.ts'
import { answerFromLibrary } from './answers/from-library.ts'
import { answerFromUpstreams, type UpstreamParts } from './answers/from-upstreams.ts'
import { offlineFailure } from './answers/offline.ts'
import { answerAboutOwnToken } from './answers/own-token.ts'
import { keepable, largestKept, type RecentReplies } from './answers/recent-replies.ts'
import type { Renderings } from './answers/renderings.ts'
import { WatchedLibrary } from './answers/watched-library.ts'
import { ContentUnavailable } from './delivery/content-unavailable.ts'
import { makeReady, type ReadyReply, readyAtOnce } from './delivery/ready-reply.ts'
import { UpstreamUnavailable } from './failure-reply.ts'
import type { Admission } from './gate/admission.ts'
import type { ReadableLibrary } from './gate/readable-library.ts'
import { answerByPulling, type PullParts } from './pull/answer-by-pulling.ts'
import type { ReceivedRequest } from './received-request.ts'
import type { Reply } from './reply.ts'

export interface AnswerParts extends UpstreamParts, PullParts {
  readonly renderings: Renderings
  readonly ggufs: GgufReader
  /** Absent where replies are not everybody's. */
  readonly recentReplies?: RecentReplies | undefined
  readonly metrics: Metrics
  /** Whether clients bring tokens of this mirror's own. */
  readonly settings: { readonly ownTokens: boolean }
  readonly upstreams: readonly Upstream[]
  readonly logger: Logger
}

/** Who answers a request of the Hub's: what is mirrored, else a download into the storage, else the upstreams. */
export class WhoAnswers {
  readonly #parts: AnswerParts

  constructor(parts: AnswerParts) {
    this.#parts = parts
  }

  /** The first reply whose content can be opened. */
  async answer(request: ReceivedRequest, admission: Admission): Promise<ReadyReply> {
    const own = this.#parts.settings.ownTokens ? answerAboutOwnToken(request) : undefined
    if (own !== undefined) return readyAtOnce(own, request)
    const body = new KeptBody(admission.body, this.#parts.bodies)
    const fromLibrary = (library: Pick<ReadableLibrary, 'find' | 'refs'>): Promise<ReadyReply | undefined> =>
      this.#opened(request, admission, async () => {
        const reply = await this.#fromLibrary(request, library, body)
        return reply && withCacheControl(reply, request.target, admission.isPublic)
      })
    const { upstreams } = this.#parts
    const lastSeen = asLastSeen(admission.library)
    const mirrored = await fromLibrary(upstreams.length === 0 ? lastSeen : admission.library)
    if (mirrored !== undefined) return mirrored
    if (upstreams.length === 0) throw await offlineFailure(request.target, lastSeen)
    const pulled = await this.#opened(request, admission, () => answerByPulling(request, admission, this.#parts))
    if (pulled !== undefined) return pulled
    try {
      const reply = await answerFromUpstreams(request, { ...admission, body: body.rest }, this.#parts)
      return await makeReady(reply, request, request.signal)
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error
      const kept = await fromLibrary(lastSeen)
      if (kept === undefined) throw error
      return kept
    }
  }

  async #fromLibrary(
    { id, method, target, headers, signal }: ReceivedRequest,
    library: Pick<ReadableLibrary, 'find' | 'refs'>,
    body: KeptBody,
  ): Promise<Reply | undefined> {
    const { renderings, delivery, ggufs, logger } = this.#parts
    const watched = logger.debug() ? new WatchedLibrary(library) : undefined
    const reply = await answerFromLibrary(method, target, {
      library: watched ?? library,
      renderings,
      delivery,
      ggufs,
      userAgent: headers['user-agent'] ?? '',
      readBody: async () => ({ contentType: headers['content-type'] ?? '', text: await body.text(signal) }),
    })
    if (reply === undefined && watched !== undefined)
      logger.debug({ request: id, reason: watched.whyNot(method, target) }, 'not from the library')
    return reply
  }

  /** `undefined` as well where a storage can't give the content: the next one answers, and the failure is counted. */
  async #opened(
    request: ReceivedRequest,
    admission: Admission,
    answer: () => Promise<Reply | undefined>,
  ): Promise<ReadyReply | undefined> {
    try {
      const reply = await answer()
      if (reply === undefined) return undefined
      return await makeReady(await this.#keep(request, admission, reply), request, request.signal)
    } catch (error) {
      if (!(error instanceof ContentUnavailable)) throw error
      this.#report(request, error)
      return undefined
    }
  }

  /** Keeps a reply that is everybody's for a moment; returns it, small content read whole. */
  async #keep({ method, target, signal }: ReceivedRequest, admission: Admission, reply: Reply): Promise<Reply> {
    const { recentReplies } = this.#parts
    const isQuestion = method === 'GET' || method === 'HEAD'
    if (recentReplies === undefined || !admission.isPublic || !isQuestion) return reply
    const { body } = reply
    const isSmall = method === 'GET' && body.kind === 'content' && body.content.size <= largestKept
    const bytes = isSmall && reply.outcome === 'hit' ? await body.content.read?.(signal) : undefined
    const kept = keepable(method, reply, bytes)
    if (kept === undefined) return reply
    recentReplies.keep(method, { target, reply: kept, allowedOrigin: admission.allowedOrigin })
    return kept
  }

  #report({ id }: ReceivedRequest, error: ContentUnavailable): void {
    const { storage, reasonCode: code, cause } = error
    if (storage === undefined) return
    const { metrics, logger, upstreams } = this.#parts
    metrics.storageFailed(storage, code)
    logger.error(
      { request: id, storage, code, reason: describeError(cause), err: cause },
      'storage failed, asking the upstream',
    )
    if (upstreams.length === 0) throw new Failure('StorageUnavailable', 503, describeError(cause), { cause })
  }
}

/** With the Hub down, or without one, a branch is where it was when its files were pulled through. */
function asLastSeen(library: ReadableLibrary): ReadableLibrary {
  return {
    find: (repository, revision) => library.find(repository, revision, { pulled: true }),
    refs: (repository) => library.refs(repository, { pulled: true }),
    has: (repository) => library.has(repository),
  }
}

/** A body that the library's reply may need, and after it an upstream. */
class KeptBody {
  #body: RequestBody | undefined
  readonly #bodies: BodyReader

  constructor(body: RequestBody | undefined, bodies: BodyReader) {
    this.#body = body
    this.#bodies = bodies
  }

  get rest(): RequestBody | undefined {
    return this.#body
  }

  async text(signal: AbortSignal): Promise<string> {
    if (this.#body === undefined) return ''
    const bytes = await this.#bodies.read(this.#body, signal)
    this.#body = bodyOfBytes(bytes)
    return Buffer.from(bytes).toString('utf8')
  }
}
