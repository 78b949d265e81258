import cluster, { type Worker } from 'node:cluster'
import type { Logger } from '../../telemetry/logger.ts'
import { isMissBatch } from './miss-exchange.ts'
import { WorkerProcess } from './worker-process.ts'

/** Milliseconds before the next start after a worker that died as soon as it started. */
const restartPause = 1_000

export interface PrimaryOptions {
  readonly workers: number
  readonly logger: Logger
  /** Milliseconds that a worker gets to end its running responses. */
  readonly gracePeriod: number
  /** Called for every worker that died and is replaced. */
  onRestart(): void
}

/** A worker ended by itself before it listened: the configuration is wrong, or the port is taken. It has logged why. */
export class WorkerFailedToStart extends Error {
  readonly code: number

  constructor(code: number) {
    super(`a worker exited with code ${code} before it listened`)
    this.name = 'WorkerFailedToStart'
    this.code = code
  }
}

/**
 * - `starting`: until all workers listen; the first starts alone, so that a mistake is logged once
 * - `serving`: a worker that dies is replaced
 * - `reloading`: workers of the former generation are replaced one by one
 * - `stopping`: no worker is started any more, and each was told to stop
 * - `stopped`: no worker is left
 */
export type PrimaryState = 'starting' | 'serving' | 'reloading' | 'stopping' | 'stopped'

/**
 * Keeps a number of workers serving: the kernel hands each its share of the connections.
 *
 * Every event (a signal, a worker that listens, a worker that exits) changes what is known, and then
 * `#reconcile` starts or retires workers until what runs is what the state asks for. So events may come in any order.
 */
export class Primary {
  readonly #options: PrimaryOptions
  readonly #workers = new Set<WorkerProcess>()
  readonly #started = Promise.withResolvers<number | undefined>()
  readonly #stopped = Promise.withResolvers<void>()
  #state: PrimaryState = 'starting'
  /** Which configuration a worker has: each reload begins another generation. */
  #generation = 0
  #reloadAgain = false
  #resting: NodeJS.Timeout | undefined

  constructor(options: PrimaryOptions) {
    this.#options = options
    cluster.on('message', (sender: Worker, message: unknown) => {
      if (!isMissBatch(message)) return
      for (const { worker } of this.#workers)
        if (worker !== sender && worker.isConnected()) worker.send(message, ignoreFailure)
    })
  }

  get state(): PrimaryState {
    return this.#state
  }

  /**
   * Resolves to the port once every worker listens, to `undefined` if {@link stop} comes first;
   * rejects with {@link WorkerFailedToStart}.
   */
  start(): Promise<number | undefined> {
    this.#reconcile()
    return this.#started.promise
  }

  /** Replaces the workers one by one, each only when its successor listens: for a changed configuration. */
  reload(): void {
    if (this.#state === 'serving') {
      this.#state = 'reloading'
      this.#generation++
      this.#reconcile()
    } else if (this.#state === 'starting' || this.#state === 'reloading') this.#reloadAgain = true
  }

  /** Tells every worker to stop, and resolves when none is left. */
  stop(): Promise<void> {
    if (this.#state !== 'stopping' && this.#state !== 'stopped') {
      this.#state = 'stopping'
      clearTimeout(this.#resting)
      this.#started.resolve(undefined)
      for (const worker of this.#workers) worker.retire(this.#options.gracePeriod)
      this.#reconcile()
    }
    return this.#stopped.promise
  }

  /** Ends the grace period of workers that were told to stop. */
  cut(): void {
    for (const worker of this.#workers) worker.cut()
  }

  #reconcile(): void {
    const all = [...this.#workers]
    const listening = all.filter(({ phase }) => phase === 'listening')
    const starting = all.filter(({ phase }) => phase === 'starting')
    const current = all.filter(({ phase, generation }) => phase !== 'retiring' && generation === this.#generation)
    const former = listening.filter(({ generation }) => generation !== this.#generation)
    const missing = this.#options.workers - current.length
    switch (this.#state) {
      case 'starting':
        if (listening.length === this.#options.workers) this.#becomeServing()
        else this.#fork(listening.length > 0 ? missing : Math.min(missing, 1 - starting.length))
        break
      case 'serving':
        this.#fork(missing)
        break
      case 'reloading':
        if (listening.length > this.#options.workers) {
          // One at a time: its running responses may take as long as the grace period.
          if (listening.length + starting.length === all.length) former[0]?.retire(this.#options.gracePeriod)
        } else if (missing > 0) {
          const isShort = listening.length < this.#options.workers
          if (starting.length === 0 && (isShort || listening.length === all.length)) this.#fork(1)
        } else if (former.length === 0 && starting.length === 0 && listening.length === all.length) {
          this.#options.logger.info({ workers: listening.length }, 'workers restarted')
          this.#becomeServing()
        }
        break
      case 'stopping':
        if (all.length === 0) {
          this.#state = 'stopped'
          this.#stopped.resolve()
        }
        break
      case 'stopped':
    }
  }

  #becomeServing(): void {
    this.#state = 'serving'
    const port = [...this.#workers].find((worker) => worker.port !== undefined)?.port
    if (port !== undefined) this.#started.resolve(port)
    if (this.#reloadAgain) {
      this.#reloadAgain = false
      this.reload()
    } else this.#reconcile()
  }

  #fork(count: number): void {
    if (this.#resting !== undefined) return
    for (let forked = 0; forked < count; forked++) {
      const worker: WorkerProcess = new WorkerProcess(cluster.fork(), this.#generation, {
        onListening: () => this.#reconcile(),
        onExit: (code, signal) => this.#onExit(worker, code, signal),
      })
      this.#workers.add(worker)
    }
  }

  #onExit(worker: WorkerProcess, code: number | null, signal: string | null): void {
    this.#workers.delete(worker)
    if (worker.phase !== 'retiring') this.#onDeath(worker, code, signal)
    this.#reconcile()
  }

  #onDeath(worker: WorkerProcess, code: number | null, signal: string | null): void {
    const { logger, onRestart } = this.#options
    const about = { pid: worker.pid, code, signal }
    // One that was killed would start the next time; one that gave up would not.
    if (worker.phase === 'starting' && code !== null && code !== 0) {
      if (this.#state === 'starting') {
        this.#started.reject(new WorkerFailedToStart(code))
        void this.stop()
        return
      }
      if (this.#state === 'reloading') {
        logger.error(about, 'restart given up: the former workers go on')
        for (const other of this.#workers) other.generation = this.#generation
        this.#becomeServing()
        return
      }
    }
    logger.error(about, worker.phase === 'starting' ? 'a worker does not start' : 'a worker died and is replaced')
    onRestart()
    if (worker.age < restartPause) this.#rest()
  }

  /** Starts no worker for a while. */
  #rest(): void {
    this.#resting ??= setTimeout(() => {
      this.#resting = undefined
      this.#reconcile()
    }, restartPause)
  }
}

/** A worker that has gone meanwhile needs no message. */
function ignoreFailure(): void {}
