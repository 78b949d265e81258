/**
 * Bytes of an answer's head. The Hub repeats what it was asked in `Location` and `Link`; the 16 KiB of the libraries are
 * less than what it may be asked.
 */
export const largestHead = 64 * 1024

/** Milliseconds, each. */
export interface Limits {
  readonly connectTimeout: number
  /** From the last byte of the request to the head of the answer. */
  readonly headersTimeout: number
  /** Without a byte of a body while the other side waits for it. */
  readonly idleTimeout: number
}

/** When the whole of an answer must have arrived, if that is limited at all. */
export class Deadline {
  readonly #at: number
  /** Timers may be a millisecond early: what was told that the time is over must not find that it is not. */
  #isTold = false

  /** `timeout` in milliseconds from now; `undefined`: none. */
  constructor(timeout: number | undefined) {
    this.#at = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout
  }

  get isOver(): boolean {
    return this.#isTold || performance.now() >= this.#at
  }

  /** Calls `onOver` when the time is over; returns what cancels that. */
  watch(onOver: () => void): () => void {
    if (this.#at === Number.POSITIVE_INFINITY) return () => undefined
    const tell = (): void => {
      this.#isTold = true
      onOver()
    }
    const timer = setTimeout(tell, Math.max(0, this.#at - performance.now()))
    return () => clearTimeout(timer)
  }
}
