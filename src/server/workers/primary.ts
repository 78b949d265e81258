import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../telemetry/logger.ts'
import { isMissBatch } from './miss-exchange.ts'

/** Milliseconds between replacements of workers that die as soon as they start. */
const restartPause = 1_000

export interface PrimaryOptions {
  readonly workers: number
  readonly logger: Logger
  /** Told of every worker that died and was replaced. */
  onRestart(): void
}

/** A worker that ended before it listened: the configuration is wrong, or the port is taken. It has said so itself. */
export class WorkerFailedToStart extends Error {
  readonly code: number

  constructor(code: number) {
    super(`a worker ended with code ${code} before it listened`)
    this.code = code
  }
}

/**
 * Keeps a number of workers serving: the kernel hands each its share of the connections. One that
 * dies is replaced; the others are not disturbed.
 */
export class Primary {
  readonly #options: PrimaryOptions
  #workers = new Set<Worker>()
  #isStopping = false
  #isRestarting = false

  constructor(options: PrimaryOptions) {
    this.#options = options
    cluster.on('message', (sender, message: unknown) => {
      if (!isMissBatch(message)) return
      for (const worker of this.#workers) if (worker !== sender && worker.isConnected()) worker.send(message)
    })
  }

  /** Resolves to the port once every worker listens; the first is awaited alone, for a mistake is told once. */
  async start(): Promise<number> {
    const port = await this.#add()
    await Promise.all(Array.from({ length: this.#options.workers - 1 }, () => this.#add()))
    return port
  }

  /** Replaces the workers one by one, each only when its successor listens: for a changed configuration. */
  async restart(): Promise<void> {
    if (this.#isRestarting || this.#isStopping) return
    this.#isRestarting = true
    const { logger } = this.#options
    try {
      for (const old of [...this.#workers]) {
        await this.#add()
        await this.#retire(old)
      }
      logger.info({ workers: this.#workers.size }, 'workers restarted')
    } catch (error) {
      logger.error({ err: error }, 'restart given up: the former workers go on')
    } finally {
      this.#isRestarting = false
    }
  }

  /** Lets every worker's running answers end. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all([...this.#workers].map((worker) => this.#retire(worker)))
  }

  async #add(): Promise<number> {
    const worker = cluster.fork()
    const listening = Promise.withResolvers<number>()
    worker.once('listening', ({ port }) => listening.resolve(port))
    worker.once('exit', (code, signal) => {
      listening.reject(new WorkerFailedToStart(code ?? 1))
      // One that was told to stop is no longer in the set.
      if (this.#workers.delete(worker) && !this.#isStopping) void this.#replace(worker, code, signal)
    })
    const port = await listening.promise
    this.#workers.add(worker)
    return port
  }

  async #retire(worker: Worker): Promise<void> {
    this.#workers.delete(worker)
    if (worker.isDead()) return
    const ended = once(worker, 'exit')
    worker.process.kill('SIGTERM')
    await ended
  }

  async #replace(worker: Worker, code: number | null, signal: string | null): Promise<void> {
    const { logger, onRestart } = this.#options
    logger.error({ pid: worker.process.pid, code, signal }, 'a worker died and is replaced')
    onRestart()
    while (!this.#isStopping) {
      try {
        await this.#add()
        return
      } catch (error) {
        logger.error({ err: error }, 'a worker does not start')
        await delay(restartPause)
      }
    }
  }
}
