import { Failure } from '../hub/failure.ts'

/**
 * Milliseconds within which a second signal is the same key press: the terminal signals the whole process
 * group, and npm, npx and the like then forward what their child has received already.
 */
const sameKeyPress = 100

/** Milliseconds in which a command may end by itself, keeping what it has; then it is left where it stands. */
const gracePeriod = 500

/** The person, or the system, asked the command to stop. */
export class Interrupted extends Failure {
  constructor(signal: NodeJS.Signals) {
    super('Interrupted', 499, `interrupted by ${signal}`)
  }
}

/** Turns SIGINT and SIGTERM into an abort, and bounds how long a command may take to obey. */
export class Interruption {
  readonly #stop = new AbortController()
  readonly #expired = Promise.withResolvers<never>()
  #interruptedAt: number | undefined

  constructor() {
    this.#expired.promise.catch(() => undefined) // nobody may be racing when it expires
  }

  /** Aborted by the first signal, with an {@link Interrupted}. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  listen(): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => this.#receive(name))
  }

  /** Settles as `work` does; rejects once the grace period is over, or a second signal has come. */
  async bound<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#expired.promise])
  }

  #receive(name: NodeJS.Signals): void {
    const now = performance.now()
    if (this.#interruptedAt === undefined) {
      this.#interruptedAt = now
      this.#stop.abort(new Interrupted(name))
      setTimeout(() => this.#expired.reject(this.#stop.signal.reason), gracePeriod)
    } else if (now - this.#interruptedAt > sameKeyPress) {
      this.#expired.reject(this.#stop.signal.reason)
      // Should even that hang: the next one is the kernel's to carry out.
      process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM')
    }
  }
}

/** Signals are sent to a process, and so there is one. */
export const interruption = new Interruption()
