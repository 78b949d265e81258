import cluster, { type Worker } from 'node:cluster'
import type { Registry } from 'prom-client'
import type { MetricsSnapshot, WorkerMetrics } from '../../telemetry/worker-metrics.ts'

/** Milliseconds between two looks at what the workers have counted: what one counted after the last is lost if it is killed. */
const interval = 5_000
/** Milliseconds for a worker to say what it has counted; what it said before counts if it does not. */
const patience = 1_000

interface Question {
  readonly kind: 'metrics-wanted'
  readonly id: number
}

interface Answer {
  readonly kind: 'metrics'
  /** Absent: the worker says it unasked, before it ends. */
  readonly id?: number
  readonly snapshot: MetricsSnapshot
}

function isQuestion(message: unknown): message is Question {
  return message instanceof Object && 'kind' in message && message.kind === 'metrics-wanted'
}

function isAnswer(message: unknown): message is Answer {
  return message instanceof Object && 'kind' in message && message.kind === 'metrics'
}

/** In a worker: tells the primary what was counted here whenever it asks. The function tells it once more, at the end. */
export function reportMetrics(registry: Registry): () => Promise<void> {
  const report = async (id?: number) => {
    const snapshot = await registry.getMetricsAsJSON()
    await new Promise<void>((resolve) => {
      // Without a primary this process is about to end as well.
      if (process.send === undefined || !process.connected) resolve()
      else
        process.send({ kind: 'metrics', ...(id !== undefined && { id }), snapshot } satisfies Answer, () => resolve())
    })
  }
  process.on('message', (message: unknown) => {
    if (isQuestion(message)) void report(message.id)
  })
  return () => report()
}

/** In the primary: what all workers, those that have ended included, have counted. */
export class MetricsGatherer {
  readonly #metrics: WorkerMetrics
  readonly #waiting = new Map<number, (worker: Worker) => void>()
  #questions = 0

  constructor(metrics: WorkerMetrics) {
    this.#metrics = metrics
    cluster.on('message', (worker: Worker, message: unknown) => {
      if (!isAnswer(message)) return
      metrics.counted(worker.id, message.snapshot)
      if (message.id !== undefined) this.#waiting.get(message.id)?.(worker)
    })
    // Messages may still be read after the exit, and the channel may close before it.
    const whenGone = (worker: Worker) => {
      if (worker.isDead() && !worker.isConnected()) metrics.ended(worker.id)
    }
    cluster.on('exit', whenGone)
    cluster.on('disconnect', (worker) => {
      for (const remove of this.#waiting.values()) remove(worker)
      whenGone(worker)
    })
    setInterval(() => void this.gather(), interval).unref()
  }

  /** Asks all workers, and resolves to Prometheus' text. */
  async render(): Promise<string> {
    await this.gather()
    return await this.#metrics.render()
  }

  /** Resolves when every worker has answered, has gone, or has taken too long. */
  async gather(): Promise<void> {
    const asked = new Set(Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true))
    if (asked.size === 0) return
    const id = this.#questions++
    const all = Promise.withResolvers<void>()
    const remove = (worker: Worker) => {
      asked.delete(worker)
      if (asked.size === 0) all.resolve()
    }
    this.#waiting.set(id, remove)
    const timer = setTimeout(() => all.resolve(), patience)
    for (const worker of asked) {
      if (worker === undefined) continue
      worker.send({ kind: 'metrics-wanted', id } satisfies Question, (error) => {
        if (error !== null) remove(worker)
      })
    }
    await all.promise
    clearTimeout(timer)
    this.#waiting.delete(id)
  }
}
