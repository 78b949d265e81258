import { LRUCache } from 'lru-cache'
import type { HeaderList } from 'mirrorface/plugin'
import { headerOf } from './answer.ts'
import { Paused } from './failures.ts'

/** The longest pause, in milliseconds, that a 429 can order. */
const longestPause = 300_000

const limitClasses = ['api', 'pages', 'resolvers'] as const
/** What the Hub counts by itself, each with a limit of its own. */
export type LimitClass = (typeof limitClasses)[number]

/** Of a target's path, without the mirror's prefix. */
export function limitClassOf(path: string): LimitClass {
  if (path.startsWith('/api/resolve-cache/')) return 'resolvers'
  if (path.startsWith('/api/')) return 'api'
  return path.includes('/resolve/') ? 'resolvers' : 'pages'
}

/**
 * Pauses that the upstream ordered with a 429, for everybody with the same credentials on routes of the same class: a
 * fleet that goes on asking is a fleet that stays locked out. The other classes are not out of bounds: who searches too
 * often must not keep a fleet from its files.
 */
export class Pauses {
  readonly #until = new LRUCache<string, number>({ max: 30_000, ttl: longestPause })

  /** Throws {@link Paused} while requests for this path with these credentials are to wait. */
  assertNone(credentials: string, path: string): void {
    const left = (this.#until.get(keyOf(credentials, limitClassOf(path))) ?? 0) - Date.now()
    if (left > 0) throw new Paused(Math.ceil(left / 1000))
  }

  /** Notes what the headers of a 429 order. */
  note(credentials: string, path: string, headers: HeaderList): void {
    const pause = pauseOf(headers)
    if (pause <= 0) return
    const until = Date.now() + Math.min(pause, longestPause)
    // Where the upstream counts a route among others than expected, both wait: or this route would be asked on and on.
    const classes = new Set([limitClassOf(path), classNamedIn(headers)])
    for (const limited of classes) if (limited !== undefined) this.#until.set(keyOf(credentials, limited), until)
  }
}

function keyOf(credentials: string, limited: LimitClass): string {
  return `${limited} ${credentials}`
}

/** `RateLimit: "api";r=0;t=55` */
function classNamedIn(headers: HeaderList): LimitClass | undefined {
  const name = /^\s*"?(\w+)"?\s*;/.exec(headerOf(headers, 'ratelimit') ?? '')?.[1]
  return limitClasses.find((known) => known === name)
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
