import {
  type Declined,
  Failure,
  HubFailure,
  type PluginLogger,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
  type UpstreamState,
  type UpstreamTraits,
} from 'mirrorface/plugin'
import type { CachedAnswer } from './cache/cached-answer.ts'
import { ClientAnswers, isWrite } from './client-answers.ts'
import { declineFor } from './declining.ts'
import { Following } from './follow/following.ts'
import { HubQuestions } from './hub-questions.ts'
import { type HubUpstreamOptions, removesXet } from './options.ts'
import { mirrorHeaders } from './rewrite/answer-headers.ts'
import { withoutXetTransfer } from './rewrite/lfs-batch.ts'
import { MirrorUrls } from './rewrite/mirror-urls.ts'
import { refuseXetToken } from './rewrite/xet.ts'
import { RequestBodyFailed, RequestRefused } from './transport/failures.ts'
import { Deadline } from './transport/limits.ts'
import { Transport } from './transport/transport.ts'

/** Milliseconds between two log lines that say the same of the service token. */
const quietFor = 60_000

/** The Hub, or anything that speaks its protocol. */
export class HubUpstream implements Upstream {
  readonly traits: UpstreamTraits
  readonly #options: HubUpstreamOptions
  readonly #logger: PluginLogger
  readonly #urls: MirrorUrls
  readonly #transport: Transport
  readonly #questions: HubQuestions
  readonly #following: Following
  readonly #clientAnswers: ClientAnswers
  #serviceRefusedAt = Number.NEGATIVE_INFINITY

  constructor(given: HubUpstreamOptions, logger: PluginLogger) {
    const options = { ...given, url: given.url.replace(/\/+$/, '') }
    this.#options = options
    this.#logger = logger
    this.traits = {
      name: options.name,
      hasServiceToken: options.token !== undefined,
      serviceWrites: options.serviceWrites,
      clientTokens: options.clientTokens,
      clientTokenPattern: new RegExp(options.clientTokenPattern),
      authority: options.authority,
    }
    this.#urls = new MirrorUrls(options.url)
    this.#transport = new Transport({
      ...options,
      onBreakerChange: (state) => logger.warn({ upstream: options.name, state }, 'upstream breaker changed'),
    })
    this.#questions = new HubQuestions(this.#transport, this.#urls, options, {
      logger,
      onServiceRefused: () => this.#serviceRefused(),
    })
    this.#following = new Following(this.#questions, this.#urls, options, logger)
    this.#clientAnswers = new ClientAnswers(this.#urls, options)
  }

  get state(): UpstreamState {
    return this.#transport.state
  }

  async ask(request: UpstreamRequest): Promise<UpstreamAnswer | Declined> {
    try {
      assertSendable(request)
      const answer = request.purpose === 'mirror' ? await this.#forMirror(request) : await this.#forClient(request)
      return { kind: 'answered', ...answer, headers: mirrorHeaders(answer.headers, this.#urls, request) }
    } catch (error) {
      request.signal.throwIfAborted()
      throwIfRefused(error)
      const declined = declineFor(error, this.#options)
      this.#logger.debug(
        { request: request.id, upstream: this.traits.name, purpose: request.purpose, reason: declined.reason },
        'upstream did not answer',
      )
      return declined
    }
  }

  async ready(): Promise<void> {
    await this.#transport.ready()
  }

  async close(): Promise<void> {
    await Promise.all([this.#transport.close(), this.#following.close()])
  }

  async #forMirror(request: UpstreamRequest): Promise<CachedAnswer> {
    return await this.#following.forMirror(request, new Deadline(this.#options.totalTimeout))
  }

  async #forClient(given: UpstreamRequest): Promise<CachedAnswer> {
    const deadline = new Deadline(this.#options.totalTimeout)
    if (given.target.operation === 'follow') return await this.#following.sealed(given, deadline)
    if (given.target.operation === 'lfs-object') return await this.#following.lfsObject(given, given.target, deadline)
    const request = this.#withoutXet(given)
    const { answer, credentials } = await this.#questions.ask(request, deadline)
    if (isWrite(request) && credentials.kind !== 'none' && answer.status < 400) this.#questions.distrust(request)
    const rewritten = await this.#clientAnswers.rewrite(request, answer, credentials)
    if (this.#options.redirects !== 'follow') return rewritten
    return await this.#following.forClient(request, rewritten, credentials, deadline)
  }

  /** Clients are kept from Xet before they ask its servers. */
  #withoutXet(request: UpstreamRequest): UpstreamRequest {
    if (!removesXet(this.#options)) return request
    refuseXetToken(request.target)
    if (request.target.operation !== 'lfs-batch' || request.body === undefined) return request
    return { ...request, body: withoutXetTransfer(request.body) }
  }

  #serviceRefused(): void {
    const now = performance.now()
    if (now - this.#serviceRefusedAt < quietFor) return
    this.#serviceRefusedAt = now
    this.#logger.error(
      { upstream: this.traits.name, code: 'ServiceTokenRefused' },
      `upstream "${this.traits.name}" does not accept the service token: give a valid one in its option "token"`,
    )
  }
}

/** http-proxy-3 announces an empty body for a chunked DELETE, and then sends one: a second request to the upstream. */
function assertSendable({ method, body }: UpstreamRequest): void {
  if (method === 'DELETE' && body !== undefined && body.bytes === undefined && body.length === undefined)
    throw new HubFailure('LengthRequired', 411, 'DELETE with a body needs a Content-Length')
}

/** What is the request's own fault is no reason to ask another upstream. */
function throwIfRefused(error: unknown): void {
  if (error instanceof Failure) throw error
  if (error instanceof RequestBodyFailed) {
    if (error.cause instanceof Failure) throw error.cause
    throw new HubFailure('IncompleteBody', 400, error.message, { cause: error })
  }
  if (error instanceof RequestRefused) {
    throw new HubFailure('BadRequest', 400, `the request can't be sent to the upstream: ${error.message}`, {
      cause: error,
    })
  }
}
