import { setTimeout as delay } from 'node:timers/promises'
import { discard, type RequestBody, type UpstreamRequest, type UpstreamState } from 'mirrorface/plugin'
import type { Credentials } from '../credentials.ts'
import { abortable } from './abortable.ts'
import type { WireAnswer } from './answer.ts'
import { Breaker } from './breaker.ts'
import { DirectWire } from './direct-wire.ts'
import { AnswerUnreadable, ConnectFailed, RequestBodyFailed, RequestRefused } from './failures.ts'
import { Deadline, type Limits } from './limits.ts'
import { OutgoingBody } from './outgoing-body.ts'
import { Pauses } from './pauses.ts'
import { ProxiedWire } from './proxied-wire.ts'

export interface TransportOptions extends Limits {
  /** The upstream's URL, without a slash at its end. */
  readonly url: string
  readonly retries: number
  readonly breakerFailures: number
  readonly breakerPause: number
  onBreakerChange(state: UpstreamState): void
}

/** A request to the upstream. */
export interface TransportRequest {
  readonly method: UpstreamRequest['method']
  /** The target's `canonical`. */
  readonly target: string
  /** Without its query: what breaker and pauses tell routes apart by. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly credentials: Credentials
  readonly body: RequestBody | undefined
  /** Asking twice does no harm. */
  readonly isRepeatable: boolean
  /** `true`: its answer is passed on as it comes, unread. */
  readonly isPassedOn: boolean
  readonly deadline: Deadline
  readonly signal: AbortSignal
}

const failing = new Set([502, 503, 504])

/**
 * The one way to the upstream: for the fallback, for metadata, for the gate's questions, for pull-through. Whatever goes
 * this way has the same limits, retries, pauses and breaker.
 */
export class Transport {
  readonly #options: TransportOptions
  readonly #direct: DirectWire
  readonly #proxied: ProxiedWire
  readonly #breaker: Breaker
  readonly #pauses = new Pauses()

  constructor(options: TransportOptions) {
    this.#options = options
    this.#direct = new DirectWire(options)
    this.#proxied = new ProxiedWire(new URL(options.url).protocol, options)
    this.#breaker = new Breaker({
      failures: options.breakerFailures,
      pause: options.breakerPause,
      probe: () => this.#probe(),
      onChange: options.onBreakerChange,
    })
  }

  get state(): UpstreamState {
    return this.#breaker.state
  }

  /** Rejects with an error of `failures.ts` or the network's, or with the signal's reason. */
  async ask(request: TransportRequest): Promise<WireAnswer> {
    this.#pauses.assertNone(request.credentials.digest, request.path)
    if (this.#breaker.state !== 'closed') await abortable(() => this.#breaker.enter(), request.signal)
    request.signal.throwIfAborted()
    let answer: WireAnswer
    try {
      answer = await this.#sendWithRetries(request)
    } catch (error) {
      this.#noteFailure(request, error)
      throw error
    }
    if (failing.has(answer.status)) this.#breaker.answerFailed(request.path)
    else this.#breaker.succeeded()
    if (answer.status === 429) this.#pauses.note(request.credentials.digest, request.path, answer.headers)
    return answer
  }

  /** Rejects with the reason why the upstream can't be reached; an upstream that is back closes the breaker. */
  async ready(): Promise<void> {
    await this.#breaker.probe()
  }

  async close(): Promise<void> {
    this.#proxied.close()
    await this.#direct.close()
  }

  async #sendWithRetries(request: TransportRequest): Promise<WireAnswer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send(request)
      } catch (error) {
        const mayRepeat = request.isRepeatable && attempt <= this.#options.retries && !request.deadline.isOver
        if (!mayRepeat || request.signal.aborted || isNoFaultOfItsWay(error)) throw error
        await delay(50 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal: request.signal }).catch(() =>
          request.signal.throwIfAborted(),
        )
      }
    }
  }

  async #send({ method, target, headers, credentials, body, isPassedOn, deadline, signal }: TransportRequest) {
    return await (isPassedOn ? this.#proxied : this.#direct).send({
      method,
      url: this.#options.url + target,
      headers: { ...headers, ...credentials.headers },
      body: body === undefined ? undefined : new OutgoingBody(body),
      deadline,
      signal,
    })
  }

  #noteFailure(request: TransportRequest, error: unknown): void {
    if (request.signal.aborted || isNoFaultOfItsWay(error)) return
    if (error instanceof ConnectFailed) this.#breaker.connectFailed()
    else this.#breaker.answerFailed(request.path)
  }

  async #probe(): Promise<void> {
    const answer = await this.#direct.send({
      method: 'HEAD',
      url: this.#options.url,
      headers: {},
      body: undefined,
      deadline: new Deadline(this.#options.connectTimeout + this.#options.headersTimeout),
      signal: new AbortController().signal,
    })
    discard(answer.body)
    if (failing.has(answer.status)) throw new Error(`it answered ${answer.status}`)
  }
}

/** The client's, or that of one answer: asking again brings the same, and others are answered all the same. */
function isNoFaultOfItsWay(error: unknown): boolean {
  return error instanceof RequestBodyFailed || error instanceof RequestRefused || error instanceof AnswerUnreadable
}
