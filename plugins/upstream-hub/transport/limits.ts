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
  #hasFired = false

  /** `timeout` in milliseconds from now; `undefined`: none. */
  constructor(timeout: number | undefined) {
    this.#at = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout
  }

  /** A timer may fire a moment early by this clock: what it ended must not be begun anew. */
  get isOver(): boolean {
    return this.#hasFired || performance.now() >= this.#at
  }

  /** Calls `onOver` when the time is over; returns what cancels that. */
  watch(onOver: () => void): () => void {
    if (this.#at === Number.POSITIVE_INFINITY) return () => undefined
    const timer = setTimeout(
      () => {
        this.#hasFired = true
        onOver()
      },
      Math.max(0, this.#at - performance.now()),
    )
    return () => clearTimeout(timer)
  }
}
