/** When the whole of an answer must be there, if that is limited at all. */
export class Deadline {
  /** Aborted when the time is over. */
  readonly signal: AbortSignal | undefined
  readonly #at: number

  /** `timeout` in milliseconds from now; absent: none. */
  constructor(timeout: number | undefined) {
    this.#at = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout
    this.signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout)
  }

  /** Milliseconds. */
  get timeLeft(): number {
    return this.#at - performance.now()
  }
}
