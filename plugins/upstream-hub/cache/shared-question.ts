import { abortable } from '../transport/abortable.ts'

/** The last one that waited for an answer has gone. */
export class NobodyWaits extends Error {}

/** One question to the upstream for all that ask the same meanwhile. It ends early only when nobody waits any more. */
export class SharedQuestion<Answer> {
  /** Rejects as the question does. */
  readonly outcome: Promise<Answer>
  readonly #life = new AbortController()
  #waiting = 0
  #isSettled = false
  #isKept = false

  constructor(ask: (signal: AbortSignal) => Promise<Answer>) {
    // Asked in a microtask, so that whoever asks has this object before the answer comes.
    this.outcome = Promise.resolve(this.#life.signal)
      .then(ask)
      .finally(() => {
        this.#isSettled = true
      })
    this.outcome.catch(() => undefined) // those that wait learn of it
  }

  /** Goes on although nobody waits: its answer is wanted by those that come later. */
  keepGoing(): void {
    this.#isKept = true
  }

  /** Rejects as the question does, or with the signal's reason. */
  async answer(signal: AbortSignal): Promise<Answer> {
    this.#waiting++
    try {
      return await abortable(() => this.outcome, signal)
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && !this.#isSettled && !this.#isKept)
        this.#life.abort(new NobodyWaits('nobody waits for it'))
    }
  }
}
