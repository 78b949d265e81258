import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError } from 'cockatiel'
import { LRUCache } from 'lru-cache'
import { type Declined, describeError, type UpstreamState } from 'mirrorface/plugin'
import { type HubAnswer, headerOf } from './hub-answer.ts'

/** The client went away: nobody's fault. */
export class ClientGone extends Error {}

/** The Hub did not answer in time. */
export class UpstreamTimeout extends Error {}

export interface HealthOptions {
  /** Failures in a row after which the Hub is left alone. */
  readonly failures: number
  /** Milliseconds until it is asked again, by one request. */
  readonly halfOpenAfter: number
}

/** The longest pause, in milliseconds, that a 429 can order. */
const longestPause = 300_000

const failing = new Set([502, 503, 504])

/**
 * Knows when not to ask the Hub: after failures in a row (a circuit breaker, closed again by one
 * probe), and after a 429, for as long as it says, for everybody with the same credentials: a fleet
 * that goes on asking is a fleet that stays locked out.
 */
export class HubHealth {
  readonly #origin: string
  readonly #options: HealthOptions
  readonly #breaker
  readonly #pauses = new LRUCache<string, number>({ max: 10_000, ttl: longestPause })

  constructor(origin: string, options: HealthOptions, onChange: (state: string) => void) {
    this.#origin = origin
    this.#options = options
    this.#breaker = circuitBreaker(
      handleWhen((error) => !(error instanceof ClientGone)).orWhenResult((answer) =>
        failing.has((answer as HubAnswer).status),
      ),
      { halfOpenAfter: options.halfOpenAfter, breaker: new ConsecutiveBreaker(options.failures) },
    )
    this.#breaker.onStateChange((state) => onChange(stateNames[state]))
  }

  get state(): UpstreamState {
    return stateNames[this.#breaker.state]
  }

  /** Why the Hub must not be asked now. */
  pauseOf(credentials: string): Declined | undefined {
    const until = this.#pauses.get(credentials)
    const left = until === undefined ? 0 : until - Date.now()
    if (left <= 0) return undefined
    const retryAfter = Math.ceil(left / 1000)
    return {
      kind: 'declined',
      status: 429,
      reason: `${this.#origin} limits the rate of requests, and is left alone for ${retryAfter} s`,
      retryAfter,
    }
  }

  /** Asks, and remembers how it went. Rejects without asking while the breaker is open. */
  async ask(credentials: string, ask: () => Promise<HubAnswer>): Promise<HubAnswer> {
    const answer = await this.#breaker.execute(ask)
    if (answer.status === 429) {
      const pause = pauseOrdered(answer.headers)
      if (pause > 0) this.#pauses.set(credentials, Date.now() + Math.min(pause, longestPause))
    }
    return answer
  }

  decline(error: unknown): Declined {
    if (isBrokenCircuitError(error)) {
      return {
        kind: 'declined',
        status: 503,
        reason: `${this.#origin} failed ${this.#options.failures} times in a row, and is asked again in a moment`,
        retryAfter: Math.ceil(this.#options.halfOpenAfter / 1000),
      }
    }
    const status = error instanceof UpstreamTimeout ? 504 : 502
    return { kind: 'declined', status, reason: `${this.#origin}: ${describeError(error)}` }
  }
}

const stateNames: Record<CircuitState, UpstreamState> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Open]: 'open',
  [CircuitState.Isolated]: 'open',
}

/** Milliseconds, from `Retry-After` (RFC 9110 §10.2.3) or `RateLimit` with nothing left (its draft's `t`). */
function pauseOrdered(headers: readonly string[]): number {
  const retryAfter = headerOf(headers, 'retry-after')
  if (retryAfter !== undefined) {
    const milliseconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now()
    return Number.isFinite(milliseconds) ? milliseconds : 0
  }
  const reset = /;\s*t=(\d+)/.exec(headerOf(headers, 'ratelimit') ?? '')?.[1]
  return reset === undefined ? 0 : Number(reset) * 1000
}

/** Tells credentials apart without keeping them: what belongs to one client is never another's. */
export function credentialsOf(headers: IncomingHttpHeaders): string {
  const { authorization, cookie } = headers
  if (authorization === undefined && cookie === undefined) return 'anonymous'
  return createHash('sha256')
    .update(`${authorization ?? ''}\n${cookie ?? ''}`)
    .digest('base64url')
}
