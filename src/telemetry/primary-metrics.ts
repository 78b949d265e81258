import { Counter, Registry } from 'prom-client'

/** What only the process that keeps the workers knows. */
export class PrimaryMetrics {
  readonly registry = new Registry()
  readonly #restarts = new Counter({
    name: 'mirrorface_worker_restarts_total',
    help: 'Workers that died and were replaced',
    registers: [this.registry],
  })

  workerRestarted(): void {
    this.#restarts.inc()
  }
}
