import { formatRepository } from '../hub/index.ts'
import type { Library } from '../mirror/index.ts'
import type { Upstream } from '../plugin/index.ts'
import type { BufferPool } from '../server/index.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Refs whose age is a metric. */
const mostRefAges = 100

interface ObservedParts {
  readonly pool: BufferPool
  readonly upstreams: readonly Upstream[]
  readonly library: Library
}

/** What is read of the parts when Prometheus asks. */
export function observeParts(metrics: Metrics, { pool, upstreams, library }: ObservedParts): void {
  const ofProcess = { labelNames: [], ofWorkers: 'sum' } as const
  metrics.observe('mirrorface_delivery_buffer_bytes', 'Memory of buffers for downloads', ofProcess, () => [
    { value: pool.allocated },
  ])
  metrics.observe(
    'mirrorface_delivery_buffers_lent_bytes',
    'Of it, what downloads hold at the moment',
    ofProcess,
    () => [{ value: pool.lent }],
  )
  const ofUpstreams = { labelNames: ['upstream'], ofWorkers: 'max' } as const
  const breaker = '1 while an upstream is left alone after failures'
  metrics.observe('mirrorface_upstream_breaker_open', breaker, ofUpstreams, () =>
    upstreams.map(({ traits, state }) => ({ labels: { upstream: traits.name }, value: state === 'open' ? 1 : 0 })),
  )
  const ofRefs = { labelNames: ['repository', 'ref'], ofWorkers: 'max' } as const
  const age = 'Time since a branch that clients ask for was moved here; the most asked for only'
  metrics.observe('mirrorface_ref_age_seconds', age, ofRefs, () =>
    library.refsInUse(mostRefAges).map(({ repository, name, updatedAt }) => ({
      labels: { repository: formatRepository(repository), ref: name },
      value: (Date.now() - Date.parse(updatedAt)) / 1000,
    })),
  )
}
