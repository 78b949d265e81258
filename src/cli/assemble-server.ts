import { LRUCache } from 'lru-cache'
import proxyAddr from 'proxy-addr'
import type { Config } from '../config/index.ts'
import { Failure, formatRepository, UsageFailure } from '../hub/index.ts'
import { Library } from '../mirror/index.ts'
import type { PluginContext, Storage, Upstream } from '../plugin/index.ts'
import { openStorage, openUpstream } from '../plugin/registry.ts'
import {
  Access,
  BufferPool,
  FileDelivery,
  loadKernelCopy,
  Misses,
  Policy,
  PullThrough,
  RecentAnswers,
  RequestRecorder,
  type ServerParts,
} from '../server/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { Tracing } from '../telemetry/tracing.ts'
import { HubClient, HubQuestions, HubSource, impatientRetryPolicy, PartMemory } from '../transfer/index.ts'
import { packageVersion } from './package-version.ts'

/** Refs whose age is a metric. */
const mostRefAges = 100

/** Milliseconds for which an answer is given again as it was; a tenth of how long a branch is believed, if that is less. */
const longestRepeated = 1000

/** Builds every part of the server from the configuration, once. */
export async function assembleServer(config: Config, logger: Logger): Promise<ServerParts> {
  const metrics = new Metrics(packageVersion())
  const tracing = await Tracing.start(process.env, packageVersion())
  const context: PluginContext = { logger }
  const guard = {
    timeout: config.storageTimeout,
    retries: 2,
    observe: (...operation: Parameters<Metrics['storageOperation']>) => {
      metrics.storageOperation(...operation)
      tracing?.storageOperation(...operation)
    },
  }
  const storages: Storage[] = []
  for (const reference of config.storages) storages.push(await openStorage(reference, context, guard))
  const upstreams: Upstream[] = []
  for (const reference of config.upstreams) upstreams.push(await openUpstream(reference, context))
  const library = new Library(storages, {
    memory: config.manifestMemory,
    refreshAfter: config.refreshAfter,
    onStorageFailure: (storage, error) => {
      const code = error instanceof Failure ? error.code : 'unknown'
      metrics.storageFailed(storage.name, code)
      logger.error({ storage: storage.name, code, err: error }, 'storage failed')
    },
  })
  const settings = {
    prefix: config.prefix,
    page: config.page,
    publicUrl: config.publicUrl,
    trustsProxy: compileTrust(config.trustedProxies),
  }
  const hub = new HubQuestions(hubUrl(config), config.upstreamToken)
  const pool = new BufferPool(config.deliveryMemory)
  observeParts(metrics, pool, upstreams, library)
  const misses = new Misses()
  const recorder = new RequestRecorder({ metrics, logger, misses, tracing })
  return {
    library,
    recorder,
    recentAnswers:
      config.access === 'open'
        ? new RecentAnswers(recorder, settings, Math.ceil(Math.min(config.refreshAfter / 10, longestRepeated)))
        : undefined,
    upstreams,
    policy: new Policy(config, async (repository, revision, authorization) =>
      config.offline ? undefined : await hub.files(repository, revision, authorization),
    ),
    access: new Access(
      { mode: config.access, tokens: config.accessTokens, cacheFor: config.accessCacheFor, grace: config.accessGrace },
      async (repository, authorization) => await hub.mayRead(repository, authorization),
    ),
    misses,
    tracing,
    pullThrough: config.pullThrough ? openPullThrough(config, storages, library, logger) : undefined,
    delivery: new FileDelivery(pool, {
      mode: config.delivery,
      accelPrefix: config.accelPrefix,
      kernel: config.sendfile ? await loadKernelCopy() : undefined,
    }),
    metrics,
    logger,
    settings,
  }
}

/** What is read of the parts when Prometheus asks. */
function observeParts(metrics: Metrics, pool: BufferPool, upstreams: readonly Upstream[], library: Library): void {
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
    upstreams.map(({ name, state }) => ({ labels: { upstream: name }, value: state === 'open' ? 1 : 0 })),
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

function compileTrust(proxies: readonly string[]): (address: string, hop: number) => boolean {
  try {
    return proxyAddr.compile([...proxies])
  } catch (error) {
    throw new UsageFailure(`trustedProxies: ${(error as Error).message}`, { cause: error })
  }
}

/** The Hub that questions are put to: the first upstream that has a URL. */
function hubUrl(config: Config): string {
  const url = config.upstreams.map((upstream) => upstream.url).find((value) => typeof value === 'string')
  return url ?? config.upstreamUrl
}

function openPullThrough(config: Config, storages: readonly Storage[], library: Library, logger: Logger): PullThrough {
  const storage = storages.find((one) => one.writer !== undefined)
  if (storage === undefined) throw new UsageFailure('pullThrough: none of the storages can be written to')
  const memory = new PartMemory(24)
  const sources = new LRUCache<string, HubSource>({
    max: 100,
    memoMethod: (token) =>
      new HubSource(
        new HubClient({
          endpoint: hubUrl(config),
          token: token === '' ? undefined : token,
          retries: impatientRetryPolicy,
          connections: 8,
          userAgent: `mirrorface/${packageVersion()}`,
        }),
        memory,
      ),
  })
  return new PullThrough({
    storage,
    library,
    logger,
    // What everybody may read afterwards is fetched as everybody, or as the service; only where the
    // Hub is asked about each client is a client's own token used.
    sourceFor: (token) => sources.memo((config.access === 'hub' ? token : undefined) ?? config.upstreamToken ?? ''),
    spoolDirectory: config.spoolDirectory,
    spoolLimit: config.spoolLimit ?? Number.POSITIVE_INFINITY,
    refreshAfter: config.refreshAfter,
  })
}
