import type { UpstreamState } from 'mirrorface/plugin'
import { BreakerOpen } from './failures.ts'

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures: number
  /** Milliseconds until it is probed. */
  readonly pause: number
  /** Asks the upstream a small question of the mirror's own; rejects where it is not back. */
  probe(): Promise<void>
  onChange(state: UpstreamState): void
}

const tooOften = 'it failed too often in a row, and is asked again in a moment'

/** Milliseconds that a request waits for the probe: an upstream that is silent must not hold it up. */
const longestWait = 1_000

/**
 * Keeps requests from an upstream that is down. Opened by what the network or the upstream did: each connection that
 * failed counts, but an answer that failed counts once for its path, so that one broken path does not close the rest. One
 * that came, and was a failure by its status, is no more than a suspicion: whoever asks chooses the route, and can choose
 * the one that is broken, so that the probe must fail as well.
 * Closed by its own probe alone; no client's request decides, whose client may leave. (cockatiel's breaker knows
 * neither.)
 */
export class Breaker {
  readonly #options: BreakerOptions
  #state: UpstreamState = 'closed'
  #openedAt = 0
  #connectFailures = 0
  readonly #failedPaths = new Set<string>()
  /** Those that were answered with a status that is a failure. */
  readonly #badlyAnsweredPaths = new Set<string>()
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

  /** It failed to answer for one path. */
  answerFailed(path: string): void {
    this.#failedPaths.add(path)
    this.#openIfDue()
  }

  /** It answered for one path, but that it can't. */
  statusFailed(path: string): void {
    if (!this.#failedPaths.has(path)) this.#badlyAnsweredPaths.add(path)
    this.#openIfDue()
  }

  #openIfDue(): void {
    if (this.#state !== 'closed') return
    const byTheNetwork = this.#connectFailures + this.#failedPaths.size
    const { failures } = this.#options
    if (byTheNetwork >= failures) this.#open()
    else if (byTheNetwork + this.#badlyAnsweredPaths.size >= failures) this.#suspect()
  }

  /** Opens it if the probe fails too; requests pass meanwhile. */
  #suspect(): void {
    if (this.#probing !== undefined) return
    this.probe().catch(() => {
      if (this.#state === 'closed') this.#open()
    })
  }

  #open(): void {
    this.#openedAt = performance.now()
    this.#change('open')
  }

  #reset(): void {
    this.#connectFailures = 0
    this.#failedPaths.clear()
    this.#badlyAnsweredPaths.clear()
  }

  #change(state: UpstreamState): void {
    this.#state = state
    this.#options.onChange(state)
  }
}
