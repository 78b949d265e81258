import type { Worker } from 'node:cluster'

/** Milliseconds that a worker gets beyond its grace period, or after it was cut, before it is killed. */
const margin = 5_000
const marginAfterCut = 2_000

/** What the primary sends a worker whose grace period is over early. A second signal would merge with the first. */
interface CutMessage {
  readonly kind: 'cut'
}

export interface WorkerEvents {
  onListening(): void
  /** Called once, also for a process that could not be started. */
  onExit(code: number | null, signal: string | null): void
}

/** A worker as the primary sees it. */
export class WorkerProcess {
  readonly worker: Worker
  generation: number
  phase: 'starting' | 'listening' | 'retiring' = 'starting'
  port: number | undefined
  #since = performance.now()
  #kill: NodeJS.Timeout | undefined

  constructor(worker: Worker, generation: number, { onListening, onExit }: WorkerEvents) {
    this.worker = worker
    this.generation = generation
    worker.once('listening', ({ port }) => {
      if (this.phase !== 'starting') return
      this.phase = 'listening'
      this.port = port
      this.#since = performance.now()
      onListening()
    })
    let hasExited = false
    const exit = (code: number | null, signal: string | null) => {
      if (hasExited) return
      hasExited = true
      clearTimeout(this.#kill)
      onExit(code, signal)
    }
    // Behind `exit`: its last words have been read by then.
    worker.process.once('close', exit)
    // The system has no room for another process. Other errors are those of a message to one that is going.
    worker.on('error', () => {
      if (this.pid === undefined) exit(null, null)
    })
  }

  get pid(): number | undefined {
    return this.worker.process.pid
  }

  /** Milliseconds since it began to listen, or was started. */
  get age(): number {
    return performance.now() - this.#since
  }

  /** Tells it to end its running responses within the grace period; then it is killed. */
  retire(gracePeriod: number): void {
    if (this.phase === 'retiring') return
    this.phase = 'retiring'
    this.worker.process.kill('SIGTERM')
    this.#killAfter(gracePeriod + margin)
  }

  /** Ends the grace period of one that retires. */
  cut(): void {
    if (this.phase !== 'retiring') return
    if (this.worker.isConnected()) this.worker.send({ kind: 'cut' } satisfies CutMessage, () => undefined)
    this.#killAfter(marginAfterCut)
  }

  #killAfter(milliseconds: number): void {
    clearTimeout(this.#kill)
    this.#kill = setTimeout(() => this.worker.process.kill('SIGKILL'), milliseconds)
  }
}

/** In a worker: aborted when the primary cuts the grace period. */
export function cutByPrimary(): AbortSignal {
  const cut = new AbortController()
  process.on('message', (message: unknown) => {
    if (message instanceof Object && 'kind' in message && message.kind === 'cut') cut.abort()
  })
  return cut.signal
}
