import { setTimeout as delay } from 'node:timers/promises'

export interface RetryPolicy {
  /** Attempts in all, that make no progress. */
  readonly attempts: number
  /** Milliseconds before the second attempt; doubled for each one after, up to `longest`. */
  readonly base: number
  readonly longest: number
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 6, base: 500, longest: 30_000 }

/** Where a client waits for the answer: better to say soon that there is none. */
export const impatientRetryPolicy: RetryPolicy = { attempts: 3, base: 100, longest: 1_000 }

/** An answer or a fault after which the same request may succeed. */
export class Retryable extends Error {
  /** Milliseconds that the server asked us to wait. */
  readonly after: number | undefined

  constructor(cause: unknown, after?: number) {
    super('retryable', { cause })
    this.after = after
  }
}

/** Calls `act` until it succeeds, or fails with something other than {@link Retryable}, or attempts run out. */
export async function withRetries<T>(policy: RetryPolicy, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof Retryable)) throw error
      if (attempt >= policy.attempts) throw error.cause
      await pause(policy, attempt, error.after, signal)
    }
  }
}

/** Waits as long as the server asked, or with exponential backoff and jitter. */
export async function pause(
  policy: RetryPolicy,
  attempt: number,
  after: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const backoff = Math.min(policy.longest, policy.base * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2)
  await delay(after ?? backoff, undefined, { signal })
}

export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501)
}

/** `Retry-After` (seconds or a date, RFC 9110 §10.2.3) or the Hub's `RateLimit: …;t=<seconds>`, as milliseconds. */
export function retryAfter(headers: Readonly<Record<string, string | undefined>>): number | undefined {
  const value = headers['retry-after']
  if (value !== undefined) {
    const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
    if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  }
  const reset = /;\s*t=(\d+)/.exec(headers.ratelimit ?? '')?.[1]
  return reset === undefined ? undefined : Number(reset) * 1000
}
