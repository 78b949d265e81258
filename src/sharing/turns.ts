import { Failure } from '../hub/index.ts'

export interface TurnsOptions {
  /** What is taken in turns, for the message: `listings of files`. */
  readonly of: string
  readonly atATime: number
  /** Those that may wait for a turn. */
  readonly waiting: number
  /** Milliseconds that one waits. */
  readonly patience: number
}

/** Too many wait already, or it took too long. */
export class NoTurn extends Failure {
  constructor(what: string) {
    super('TooManyAtATime', 503, `too many ${what} are asked for at a time: try again in a moment`)
  }
}

/** Lets a few at a time do what takes much memory; the others wait, not too many and not too long. */
export class Turns {
  readonly #options: TurnsOptions
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>()
  #taken = 0

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** Rejects with {@link NoTurn}. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#options.atATime) this.#taken++
    else await this.#wait()
    try {
      return await work()
    } finally {
      this.#passOn()
    }
  }

  async #wait(): Promise<void> {
    const { of, waiting, patience } = this.#options
    if (this.#waiting.size >= waiting) throw new NoTurn(of)
    const turn = Promise.withResolvers<void>()
    this.#waiting.add(turn.resolve)
    const late = setTimeout(() => {
      this.#waiting.delete(turn.resolve)
      turn.reject(new NoTurn(of))
    }, patience).unref()
    await turn.promise.finally(() => clearTimeout(late))
  }

  /** The turn goes to the next without being given back, so that nobody who comes meanwhile takes it as well. */
  #passOn(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#taken--
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
