import type { Config } from '../config/index.ts'
import { UsageFailure } from '../hub/index.ts'
import type { Library } from '../mirror/index.ts'
import type { Storage, Upstream } from '../plugin/index.ts'
import { PullThrough } from '../server/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import { HubSource, impatientRetryPolicy, PartMemory, UpstreamHubClient } from '../transfer/index.ts'

interface PullParts {
  readonly storages: readonly Storage[]
  readonly library: Library
  readonly logger: Logger
  readonly upstreams: readonly Upstream[]
  /** Nothing is pulled from any other. */
  readonly authority: Upstream | undefined
  /** This deployment's name in `Via`. */
  readonly pseudonym: string
  readonly version: string
}

/** Concurrent downloads share this many buffers of a part's size. */
const partBuffers = 24

/** Pull-through into the first storage that can be written to, from the authority. */
export function openPullThrough(config: Config, parts: PullParts): PullThrough | undefined {
  const { storages, library, logger, authority, upstreams, pseudonym, version } = parts
  const storage = storages.find((one) => one.writer !== undefined)
  if (storage === undefined) throw new UsageFailure('pullThrough: none of the storages can be written to')
  if (authority === undefined) return undefined
  const reference: Readonly<Record<string, unknown>> = config.upstreams[upstreams.indexOf(authority)] ?? {}
  const endpoint = typeof reference.url === 'string' ? reference.url : config.upstreamUrl
  const memory = new PartMemory(partBuffers)
  return new PullThrough({
    storage,
    library,
    logger,
    sourceFor: (rights) =>
      new HubSource(
        new UpstreamHubClient({
          upstream: authority,
          endpoint,
          rights,
          retries: impatientRetryPolicy,
          userAgent: `mirrorface/${version}`,
          via: `1.1 ${pseudonym}`,
        }),
        memory,
      ),
    keeps: ({ private: isPrivate, gated }) =>
      config.access !== 'open' ||
      config.serveNonPublic ||
      (isPrivate !== true && (gated === undefined || gated === false)),
    spoolDirectory: config.spoolDirectory,
    spoolLimit: config.spoolLimit ?? Number.POSITIVE_INFINITY,
    refreshAfter: config.refreshAfter,
  })
}
