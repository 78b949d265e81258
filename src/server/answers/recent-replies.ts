import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { clientAddress } from './addresses.ts'
import type { Context, RequestState, ServerSettings } from './context.ts'
import { selectRange } from './delivery/preconditions.ts'
import { requestIdOf } from './observe.ts'
import { loggedPath, type RequestRecorder } from './request-recorder.ts'

/** An answer as it was given a moment ago. */
interface RecentAnswer extends Pick<RequestState, 'hub' | 'source' | 'bytes'> {
  readonly etag: string
  /** Names and values in turns, without the request's own id. */
  readonly headers: readonly string[]
  /** Absent for HEAD. */
  readonly body: Buffer | undefined
}

/** Memory in bytes for remembered answers; most of the bodies are the library's own. */
const memory = 32 * 1024 * 1024
/** What an entry without a body takes, about, in bytes. */
const entrySize = 2048

/**
 * Gives answers about mirrored repositories again while they are fresh, ahead of Koa: a fleet that
 * starts asks the same few URLs thousands of times a second. Only for answers that are everybody's.
 */
export class RecentAnswers {
  readonly #recorder: RequestRecorder
  readonly #settings: ServerSettings
  readonly #answers: LRUCache<string, RecentAnswer>

  /** `lifetime` in milliseconds: how long an answer is given again without a look at the library. */
  constructor(recorder: RequestRecorder, settings: ServerSettings, lifetime: number) {
    this.#recorder = recorder
    this.#settings = settings
    this.#answers = new LRUCache({ ttl: lifetime, maxSize: memory, ttlResolution: 10 })
  }

  /** Keeps an answer of status 200 that depends on nothing but method and URL. Its headers are set, and not sent yet. */
  remember({ req, res, state }: Context, etag: string, body: Buffer | undefined): void {
    const headers = rawHeaderNamesOf(res)
      .filter((name) => name !== 'X-Request-Id')
      .flatMap((name) => [name, String(res.getHeader(name))])
    const { hub, source } = state
    const size = entrySize + (body?.length ?? 0)
    const bytes = req.method === 'HEAD' ? 0 : (body?.length ?? 0)
    this.#answers.set(keyOf(req), { hub, source, bytes, etag, headers, body }, { size })
  }

  /** Whether the request could be answered, and was. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const recent = this.#answers.get(keyOf(request))
    if (recent === undefined || selectRange(request, recent.etag, recent.bytes).status !== 200) return false
    const started = performance.now()
    const id = requestIdOf(request)
    const { hub, source, bytes, headers, body } = recent
    const method = request.method ?? ''
    const client = clientAddress(request, this.#settings.trustsProxy)
    const trace = this.#recorder.began(request)
    response.once('close', () =>
      this.#recorder.ended(
        {
          id,
          client,
          method,
          path: loggedPath(request.url ?? ''),
          hub,
          source,
          outcome: 'hit',
          status: 200,
          bytes,
          seconds: (performance.now() - started) / 1000,
          upstreamFailed: false,
          aborted: !response.writableFinished,
          failure: undefined,
        },
        trace,
      ),
    )
    response.writeHead(200, [...headers, 'X-Request-Id', id])
    response.end(method === 'HEAD' ? undefined : body)
    return true
  }
}

/** Every outgoing message has this method; the types know it of requests only. */
function rawHeaderNamesOf(response: ServerResponse): string[] {
  return (response as unknown as Pick<ClientRequest, 'getRawHeaderNames'>).getRawHeaderNames()
}

function keyOf({ method, url }: IncomingMessage): string {
  return `${method} ${url}`
}
