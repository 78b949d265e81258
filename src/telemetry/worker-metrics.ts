import { AggregatorRegistry, type Registry } from 'prom-client'

/** All metrics of one process at a moment. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/**
 * The metrics of several processes as one. What a process had counted stays when it ends, so that no
 * counter ever falls; what it was like (gauges) goes with it.
 */
export class WorkerMetrics {
  readonly #latest = new Map<number, MetricsSnapshot>()
  /** What ended processes had counted: sums, and what has not been added to them yet. */
  #ended: readonly MetricsSnapshot[] = []
  #adding: Promise<void> = Promise.resolve()

  counted(worker: number, snapshot: MetricsSnapshot): void {
    this.#latest.set(worker, snapshot)
  }

  /** No snapshot of this worker comes after this. */
  ended(worker: number): void {
    const last = this.#latest.get(worker)
    if (last === undefined) return
    this.#latest.delete(worker)
    this.#ended = [...this.#ended, last.filter((metric) => isCounted(String(metric.type)))]
    this.#adding = this.#adding.then(() => this.#addUp())
  }

  /** Prometheus' text. */
  async render(): Promise<string> {
    return await AggregatorRegistry.aggregate([...this.#latest.values(), ...this.#ended]).metrics()
  }

  /** A scrape sees either the parts or their sum. */
  async #addUp(): Promise<void> {
    const parts = this.#ended
    const sum = await AggregatorRegistry.aggregate([...parts]).getMetricsAsJSON()
    this.#ended = [sum, ...this.#ended.slice(parts.length)]
  }
}

function isCounted(type: string): boolean {
  return type === 'counter' || type === 'histogram'
}
