import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { discard } from 'mirrorface/plugin'

export interface ResumedBodyOptions {
  /** The first attempt's bytes. */
  readonly first: Readable
  /** Of the whole, both inclusive: where this body begins and ends. */
  readonly start: number
  readonly end: number
  /** The bytes from `offset` to `end`; rejects with {@link NotResumable} where asking again is of no use. */
  reopen(offset: number, signal: AbortSignal): Promise<Readable>
  /** Told of each resumption. */
  onResume(offset: number, error: unknown): void
}

/** The rest can't be had: what is there now is not what was begun. */
export class NotResumable extends Error {}

/** Attempts in a row that brought no byte after which a body fails. */
const mostFruitless = 6

/**
 * A body that is asked for again from where it broke off, for as long as attempts bring bytes. Never a byte more than was
 * announced. Whoever destroys it ends what is under way.
 */
export class ResumedBody extends Readable {
  readonly #options: ResumedBodyOptions
  readonly #life = new AbortController()
  #offset: number
  #current: Readable
  #isStarted = false
  #onWanted: (() => void) | undefined

  constructor(options: ResumedBodyOptions) {
    super({ highWaterMark: 256 * 1024 })
    this.#options = options
    this.#offset = options.start
    this.#current = options.first
    this.#current.on('error', () => undefined) // it may fail before it is read
  }

  override _read(): void {
    this.#onWanted?.()
    if (this.#isStarted) return
    this.#isStarted = true
    void this.#pump()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#life.abort(error ?? new Error('nobody reads it'))
    this.#onWanted?.()
    discard(this.#current)
    callback(error)
  }

  async #pump(): Promise<void> {
    const { end, reopen, onResume } = this.#options
    const { signal } = this.#life
    let fruitless = 0
    while (this.#offset <= end) {
      const before = this.#offset
      try {
        await this.#pass()
        if (this.#offset <= end) throw new Error(`the body ended ${end + 1 - this.#offset} bytes early`)
      } catch (error) {
        if (signal.aborted) return
        fruitless = this.#offset > before ? 0 : fruitless + 1
        try {
          this.#current = await this.#reopen(error, fruitless, reopen, onResume)
        } catch (last) {
          if (!signal.aborted) this.destroy(last instanceof Error ? last : new Error(String(last)))
          return
        }
      }
    }
    this.push(null)
  }

  /** The next attempt, which may itself fail a few times. */
  async #reopen(
    broken: unknown,
    fruitless: number,
    reopen: ResumedBodyOptions['reopen'],
    onResume: ResumedBodyOptions['onResume'],
  ): Promise<Readable> {
    const { signal } = this.#life
    let error = broken
    for (let failures = fruitless; failures < mostFruitless; failures++) {
      onResume(this.#offset, error)
      if (failures > 0) await delay(50 * 2 ** failures * (0.5 + Math.random()), undefined, { signal })
      try {
        return await reopen(this.#offset, signal)
      } catch (next) {
        signal.throwIfAborted()
        if (next instanceof NotResumable) throw next
        error = next
      }
    }
    throw error
  }

  /** Passes bytes on until the attempt ends or breaks off. */
  async #pass(): Promise<void> {
    const { end } = this.#options
    for await (const chunk of this.#current) {
      const bytes: Buffer = chunk
      const wanted = bytes.subarray(0, end + 1 - this.#offset)
      this.#offset += wanted.length
      if (!this.push(wanted)) await this.#wanted()
      if (this.#offset > end) return
    }
  }

  async #wanted(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onWanted = resolve
    await promise
    this.#onWanted = undefined
    this.#life.signal.throwIfAborted()
  }
}
