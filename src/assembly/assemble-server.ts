import proxyAddr from 'proxy-addr'
import type { Config } from '../config/index.ts'
import { GgufReader } from '../gguf/index.ts'
import { Failure, UsageFailure } from '../hub/index.ts'
import { Library } from '../mirror/index.ts'
import { BodyReader, type PluginContext, type Storage, type Upstream } from '../plugin/index.ts'
import { openStorage, openUpstream } from '../plugin/registry.ts'

import {
  AccessTokens,
  authorityOf,
  BufferPool,
  FileDelivery,
  Gate,
  loadKernelCopy,
  Misses,
  newSealSecret,
  Readiness,
  RecentReplies,
  Renderings,
  ReplyWriter,
  RequestRecorder,
  Seals,
  type ServerParts,
  UpstreamChecks,
} from '../server/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Metrics } from '../telemetry/metrics.ts'
import type { Redactor } from '../telemetry/redact.ts'
import { Tracing } from '../telemetry/tracing.ts'
import { deploymentName } from './deployment-name.ts'
import { observeParts } from './observe-parts.ts'
import { openPullThrough } from './open-pull-through.ts'

/** Milliseconds for which a reply is given again as it was; a tenth of how long a branch is believed, if that is less. */
const longestRepeated = 1000

/** Of the memory for manifests, what rendered replies may take. */
const renderedShare = 0.25

/**
 * Builds every part of the server from the configuration, once. `version` is for metrics, traces and `User-Agent`;
 * `redactor` knows the secrets of configuration and plugins.
 */
export async function assembleServer(
  config: Config,
  { logger, redactor, version }: { readonly logger: Logger; readonly redactor: Redactor; readonly version: string },
): Promise<ServerParts> {
  const redact = (text: string): string => redactor.redact(text)
  const metrics = new Metrics(version)
  const tracing = await Tracing.start(process.env, version)
  const context: PluginContext = { logger }
  const storages = await openStorages(config, context, { metrics, tracing, logger })
  const upstreams: Upstream[] = []
  for (const reference of config.upstreams) upstreams.push(await openUpstream(reference, context))
  const rendered = Math.floor(config.manifestMemory * renderedShare)
  const library = new Library(storages, {
    memory: config.manifestMemory - rendered,
    refreshAfter: config.refreshAfter,
    onStorageFailure: (storage, error) => {
      const code = error instanceof Failure ? error.code : 'unknown'
      metrics.storageFailed(storage.name, code)
      logger.error({ storage: storage.name, code, err: error }, 'storage failed')
    },
  })
  const pseudonym = deploymentName(config)
  const bodies = new BodyReader()
  const gate = new Gate(
    { ...config, questionHeaders: { via: `1.1 ${pseudonym}` } },
    {
      library,
      upstreams,
      logger,
      accessTokens: new AccessTokens(config.accessTokens),
      seals: new Seals(config.sealSecrets.length > 0 ? config.sealSecrets : [newSealSecret()]),
      bodies,
    },
  )
  const pool = new BufferPool(config.deliveryMemory)
  observeParts(metrics, { pool, upstreams, library })
  const misses = new Misses()
  const upstreamChecks = new UpstreamChecks(upstreams)
  return {
    library,
    gate,
    bodies,
    upstreams,
    pseudonym,
    sealFor: (target, kind, upstream) => gate.sealFor(target, kind, upstream),
    recorder: new RequestRecorder({ metrics, logger, misses, tracing }),
    recentReplies:
      config.access === 'open'
        ? new RecentReplies(Math.ceil(Math.min(config.refreshAfter / 10, longestRepeated)))
        : undefined,
    renderings: new Renderings(rendered),
    ggufs: new GgufReader(),
    misses,
    readiness: new Readiness({ storages, upstreams, upstreamChecks, metrics, redact }),
    upstreamChecks,
    redact,
    tracing,
    pullThrough: config.pullThrough
      ? openPullThrough(config, {
          storages,
          library,
          logger,
          authority: authorityOf(upstreams),
          upstreams,
          pseudonym,
          version,
        })
      : undefined,
    delivery: new FileDelivery(pool, {
      mode: config.delivery,
      accelPrefix: config.accelPrefix,
      kernel: config.sendfile ? await loadKernelCopy() : undefined,
    }),
    writer: new ReplyWriter({ pseudonym, sendTimeout: config.sendTimeout }),
    metrics,
    logger,
    settings: {
      prefix: config.prefix,
      page: config.page,
      refreshAfter: config.refreshAfter,
      publicUrl: config.publicUrl,
      ownTokens: config.access === 'tokens',
      trustsProxy: compileTrust(config.trustedProxies),
    },
  }
}

async function openStorages(
  config: Config,
  context: PluginContext,
  { metrics, tracing, logger }: Pick<ServerParts, 'metrics' | 'tracing' | 'logger'>,
): Promise<readonly Storage[]> {
  const guard = {
    timeout: config.storageTimeout,
    retries: 2,
    observe: (...operation: Parameters<Metrics['storageOperation']>) => {
      const [storage, name, seconds, failure] = operation
      logger.trace({ storage, operation: name, seconds, failure }, 'storage asked')
      metrics.storageOperation(...operation)
      tracing?.storageOperation(...operation)
    },
  }
  const storages: Storage[] = []
  for (const reference of config.storages) storages.push(await openStorage(reference, context, guard))
  return storages
}

function compileTrust(proxies: readonly string[]): (address: string, hop: number) => boolean {
  try {
    return proxyAddr.compile([...proxies])
  } catch (error) {
    throw new UsageFailure(`trustedProxies: ${(error as Error).message}`, { cause: error })
  }
}
