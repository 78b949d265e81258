import { LRUCache } from 'lru-cache'
import type { HeaderList } from 'mirrorface/plugin'
import { headerOf } from './answer.ts'
import { Paused } from './failures.ts'

/** The longest pause, in milliseconds, that a 429 can order. */
const longestPause = 300_000

/**
 * Pauses that the upstream ordered with a 429, for everybody with the same credentials: a fleet that goes on asking is
 * a fleet that stays locked out.
 */
export class Pauses {
  readonly #until = new LRUCache<string, number>({ max: 10_000, ttl: longestPause })

  /** Throws {@link Paused} while these credentials are to wait. */
  assertNone(credentials: string): void {
    const left = (this.#until.get(credentials) ?? 0) - Date.now()
    if (left > 0) throw new Paused(Math.ceil(left / 1000))
  }

  /** Notes what the headers of a 429 order. */
  note(credentials: string, headers: HeaderList): void {
    const pause = pauseOf(headers)
    if (pause > 0) this.#until.set(credentials, Date.now() + Math.min(pause, longestPause))
  }
}

/** Milliseconds, from `Retry-After` (RFC 9110 §10.2.3) or `RateLimit` with nothing left (its draft's `t`). */
function pauseOf(headers: HeaderList): number {
  const retryAfter = headerOf(headers, 'retry-after')
  if (retryAfter !== undefined) {
    const milliseconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now()
    return Number.isFinite(milliseconds) ? milliseconds : 0
  }
  const reset = /;\s*t=(\d+)/.exec(headerOf(headers, 'ratelimit') ?? '')?.[1]
  return reset === undefined ? 0 : Number(reset) * 1000
}
