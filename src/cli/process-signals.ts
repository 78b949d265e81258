/**
 * The signals that steer a server. `bin/mirrorface.js` loads this file before anything else, so that
 * no signal ends the process by default while the program is still loading: import nothing here.
 */

/** Milliseconds in which repeated signals count as one: npm passes on the Ctrl-C that the terminal has sent as well. */
const repetition = 250

class ProcessSignals {
  readonly #stop = new AbortController()
  readonly #cut = new AbortController()
  #stoppedAt = 0
  #isCaught = false
  #isTaken = false
  #reload: (() => void) | undefined

  /** Aborted by the first SIGTERM or SIGINT; the reason is the signal's name. */
  get stop(): AbortSignal {
    return this.#stop.signal
  }

  /** Aborted by the second: whoever waits for running requests waits no longer. */
  get cut(): AbortSignal {
    return this.#cut.signal
  }

  /** Installs the handlers. Until {@link take}, SIGTERM and SIGINT end the process with code 0 and SIGHUP does nothing. */
  catch(): void {
    if (this.#isCaught) return
    this.#isCaught = true
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => this.#onStop(name))
    process.on('SIGHUP', () => this.#reload?.())
  }

  /** From here on the caller acts on {@link stop} and {@link cut}, and `reload` on SIGHUP. */
  take(reload: () => void): void {
    this.catch()
    this.#isTaken = true
    this.#reload = reload
  }

  #onStop(name: NodeJS.Signals): void {
    if (!this.#isTaken) process.exit(0)
    if (!this.#stop.signal.aborted) {
      this.#stoppedAt = performance.now()
      this.#stop.abort(name)
    } else if (performance.now() - this.#stoppedAt > repetition) this.#cut.abort(name)
  }
}

export const processSignals = new ProcessSignals()
