import type { UpstreamState } from 'mirrorface/plugin'
import { BreakerOpen } from './failures.ts'

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures: number
  /** Milliseconds until it is probed. */
  readonly pause: number
  /** Milliseconds that the probe of a suspicion may take; 5,000 if absent. */
  readonly longestSuspicion?: number
  /** Asks the upstream a small question of the mirror's own; rejects where it is not back. */
  probe(): Promise<void>
  onChange(state: UpstreamState): void
}

const tooOften = 'it failed too often in a row, and is asked again in a moment'

/** Milliseconds that a request waits for the probe: an upstream that is silent must not hold it up. */
const longestWait = 1_000

/** Milliseconds that the probe of a suspicion may take: an upstream that is silent is opened for by then. */
const longestSuspicion = 5_000

/**
 * Keeps requests from an upstream that is down. Connections that failed open it by themselves, for no request got as far
 * as to matter. What came of a request, a failed answer as well as a status that is a failure, counts once for its path
 * and is no more than a suspicion: whoever asks chooses the paths, and can choose those that are broken, so that the
 * probe must fail as well. Closed by its own probe alone; no client's request decides, whose client may leave.
 * (cockatiel's breaker knows neither.)
 */
export class Breaker {
  readonly #options: BreakerOptions
  #state: UpstreamState = 'closed'
  #openedAt = 0
  #connectFailures = 0
  readonly #failedPaths = new Set<string>()
  #probing: Promise<void> | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): UpstreamState {
    return this.#state
  }

  /** Resolves when the upstream may be asked; rejects with {@link BreakerOpen}. The first to come after the pause probes. */
  async enter(): Promise<void> {
    if (this.#state === 'closed') return
    if (this.#probing === undefined && performance.now() - this.#openedAt < this.#options.pause)
      throw new BreakerOpen(tooOften)
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(() => late.reject(new BreakerOpen(tooOften)), longestWait)
    try {
      await Promise.race([this.probe(), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks whether the upstream is there, once for all that wait for it. */
  async probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined
    })
    await this.#probing
  }

  async #probe(): Promise<void> {
    if (this.#state === 'open') this.#change('half-open')
    try {
      await this.#options.probe()
    } catch (error) {
      if (this.#state === 'half-open') this.#open()
      throw error
    }
    this.#reset()
    if (this.#state !== 'closed') this.#change('closed')
  }

  /** The upstream answered. */
  succeeded(): void {
    // What was asked before it opened may be answered after: that is no probe.
    if (this.#state === 'closed') this.#reset()
  }

  connectFailed(): void {
    this.#connectFailures++
    this.#openIfDue()
  }

  /** It failed to answer for one path, or answered that it can't. */
  answerFailed(path: string): void {
    this.#failedPaths.add(path)
    this.#openIfDue()
  }

  #openIfDue(): void {
    if (this.#state !== 'closed') return
    const { failures } = this.#options
    if (this.#connectFailures >= failures) this.#open()
    else if (this.#connectFailures + this.#failedPaths.size >= failures) this.#suspect()
  }

  /** Opens it if the probe fails too, or is late; requests pass meanwhile. */
  #suspect(): void {
    if (this.#probing !== undefined) return
    const openNow = () => {
      if (this.#state === 'closed') this.#open()
    }
    const late = setTimeout(openNow, this.#options.longestSuspicion ?? longestSuspicion)
    late.unref()
    this.probe()
      .catch(openNow)
      .finally(() => clearTimeout(late))
  }

  #open(): void {
    this.#openedAt = performance.now()
    this.#change('open')
  }

  #reset(): void {
    this.#connectFailures = 0
    this.#failedPaths.clear()
  }

  #change(state: UpstreamState): void {
    this.#state = state
    this.#options.onChange(state)
  }
}
