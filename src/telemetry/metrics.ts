import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** A finished request, as metrics and the access log see it. */
export interface FinishedRequest {
  /** `undefined` for requests that name no repository. */
  readonly repository: string | undefined
  readonly operation: string
  readonly method: string
  readonly status: number
  /** The storage or upstream that answered; `mirrorface` where none was needed; `none` for a failure. */
  readonly source: string
  readonly outcome: 'hit' | 'fallback' | 'own'
  readonly bytes: number
  readonly seconds: number
  /** Whether the upstreams failed to answer. */
  readonly upstreamFailed: boolean
}

/** Distinct repositories that get a label of their own; the rest share `other`. */
const mostRepositoryLabels = 1000

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** The server's metrics. The counters by repository have the names of the Python MirrorFace. */
export class Metrics {
  readonly registry = new Registry()
  readonly #repositories = new Set<string>()
  readonly #hitCounts = new Map<string, number>()

  readonly #requests = this.#byRepository('mirrorface_total_requests', 'Requests received')
  readonly #hits = this.#byRepository('mirrorface_cache_hit', 'Requests answered from a storage')
  readonly #misses = this.#byRepository(
    'mirrorface_cache_miss',
    'Requests for a repository that no storage could answer',
  )
  readonly #hitBytes = this.#byRepository('mirrorface_cache_total_bytes', 'Body bytes sent from a storage')
  readonly #fallbacks = this.#byRepository('mirrorface_fallback_requests', 'Requests passed to an upstream')
  readonly #fallbackErrors = this.#byRepository(
    'mirrorface_fallback_upstream_error',
    'Requests that no upstream answered, or that broke off',
  )
  readonly #fallbackBytes = this.#byRepository('mirrorface_fallback_total_bytes', 'Body bytes sent from an upstream')

  readonly #durations = new Histogram({
    name: 'mirrorface_request_duration_seconds',
    help: 'Time from a request to the end of its answer',
    labelNames: ['operation', 'source', 'status'] as const,
    buckets: durationBuckets,
    registers: [this.registry],
  })
  readonly #storageDurations = new Histogram({
    name: 'mirrorface_storage_operation_duration_seconds',
    help: 'Time that an operation of a storage took',
    labelNames: ['storage', 'operation', 'outcome'] as const,
    buckets: durationBuckets,
    registers: [this.registry],
  })
  readonly #storageFailures = new Counter({
    name: 'mirrorface_storage_failures_total',
    help: 'Requests for which a storage failed and the next, or the upstream, was asked',
    labelNames: ['storage', 'code'] as const,
    registers: [this.registry],
  })
  readonly #inFlight = new Gauge({
    name: 'mirrorface_requests_in_flight',
    help: 'Requests being answered',
    registers: [this.registry],
  })

  readonly #dropped = new Counter({
    name: 'mirrorface_connections_dropped_total',
    help: 'Connections closed at once because there were too many',
    registers: [this.registry],
  })

  readonly #storageReady = new Gauge({
    name: 'mirrorface_storage_ready',
    help: '1 where a storage can be read, 0 where it cannot',
    labelNames: ['storage'] as const,
    aggregator: 'min',
    registers: [this.registry],
  })

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry })
    new Gauge({
      name: 'mirrorface_build_info',
      help: 'The running version; always 1',
      labelNames: ['version', 'node'] as const,
      aggregator: 'first',
      registers: [this.registry],
    }).set({ version, node: process.version }, 1)
  }

  requestStarted(): void {
    this.#inFlight.inc()
  }

  connectionDropped(): void {
    this.#dropped.inc()
  }

  requestFinished(request: FinishedRequest): void {
    this.#inFlight.dec()
    const status = `${Math.floor(request.status / 100)}xx`
    this.#durations.observe({ operation: request.operation, source: request.source, status }, request.seconds)
    const label = { repository: this.#labelOf(request.repository, request.status < 400) }
    this.#requests.inc(label)
    if (request.outcome === 'hit') {
      this.#hits.inc(label)
      this.#hitCounts.set(label.repository, (this.#hitCounts.get(label.repository) ?? 0) + 1)
      this.#hitBytes.inc(label, request.bytes)
    }
    if (request.outcome === 'fallback') {
      if (request.repository !== undefined) this.#misses.inc(label)
      this.#fallbacks.inc(label)
      this.#fallbackBytes.inc(label, request.bytes)
      if (request.upstreamFailed) this.#fallbackErrors.inc(label)
    }
  }

  storageOperation(storage: string, operation: string, seconds: number, failure: string | undefined): void {
    this.#storageDurations.observe({ storage, operation, outcome: failure ?? 'ok' }, seconds)
  }

  storageFailed(storage: string, code: string): void {
    this.#storageFailures.inc({ storage, code })
  }

  /** Requests for a repository that this process answered from a storage. */
  hitsOf(repository: string): number {
    return this.#hitCounts.get(repository) ?? 0
  }

  storageReady(storage: string, ready: boolean): void {
    this.#storageReady.set({ storage }, ready ? 1 : 0)
  }

  /** A gauge that is read when Prometheus asks; `ofWorkers`: what the values of several workers make. */
  observe(
    name: string,
    help: string,
    options: { readonly labelNames: readonly string[]; readonly ofWorkers: 'sum' | 'max' },
    read: () => readonly { readonly labels?: Record<string, string>; readonly value: number }[],
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...options.labelNames],
      aggregator: options.ofWorkers,
      registers: [this.registry],
      collect() {
        this.reset() // what was there at the last time may have gone
        for (const { labels, value } of read()) this.set(labels ?? {}, value)
      },
    })
  }

  /** Names come from clients, so only so many become labels, and only those that a repository answered to. */
  #labelOf(repository: string | undefined, exists: boolean): string {
    if (repository === undefined) return 'none'
    if (this.#repositories.has(repository)) return repository
    if (!exists || this.#repositories.size >= mostRepositoryLabels) return 'other'
    this.#repositories.add(repository)
    return repository
  }

  #byRepository(name: string, help: string): Counter<'repository'> {
    return new Counter({ name, help, labelNames: ['repository'] as const, registers: [this.registry] })
  }
}
