import { LRUCache } from 'lru-cache'
import type { Config } from '../config/index.ts'
import { UsageFailure } from '../hub/index.ts'
import type { Library } from '../mirror/index.ts'
import type { Rights, Storage, Upstream } from '../plugin/index.ts'
import { PullThrough } from '../server/index.ts'
import type { Logger } from '../telemetry/logger.ts'
import { HubClient, HubSource, impatientRetryPolicy, PartMemory } from '../transfer/index.ts'

interface PullParts {
  readonly storages: readonly Storage[]
  readonly library: Library
  readonly logger: Logger
  readonly upstreams: readonly Upstream[]
  /** Nothing is pulled from any other. */
  readonly authority: Upstream | undefined
  readonly version: string
}

/** Concurrent downloads share this many buffers of a part's size. */
const partBuffers = 24

/** Pull-through into the first storage that can be written to, from the authority. */
export function openPullThrough(config: Config, parts: PullParts): PullThrough | undefined {
  const { storages, library, logger, authority, upstreams, version } = parts
  const storage = storages.find((one) => one.writer !== undefined)
  if (storage === undefined) throw new UsageFailure('pullThrough: none of the storages can be written to')
  if (authority === undefined) return undefined
  const reference: Readonly<Record<string, unknown>> = config.upstreams[upstreams.indexOf(authority)] ?? {}
  const { url, token: serviceToken } = reference
  const memory = new PartMemory(partBuffers)
  const sources = new LRUCache<string, HubSource>({
    max: 100,
    memoMethod: (token) =>
      new HubSource(
        new HubClient({
          endpoint: typeof url === 'string' ? url : config.upstreamUrl,
          token: token === '' ? undefined : token,
          retries: impatientRetryPolicy,
          connections: 8,
          userAgent: `mirrorface/${version}`,
        }),
        memory,
      ),
  })
  const tokenFor = (rights: Rights): string => {
    if (rights.use === 'client') return rights.token
    return rights.use === 'service' && typeof serviceToken === 'string' ? serviceToken : ''
  }
  return new PullThrough({
    storage,
    library,
    logger,
    sourceFor: (rights) => sources.memo(tokenFor(rights)),
    keeps: ({ private: isPrivate, gated }) =>
      config.access !== 'open' ||
      config.serveNonPublic ||
      (isPrivate !== true && (gated === undefined || gated === false)),
    spoolDirectory: config.spoolDirectory,
    refreshAfter: config.refreshAfter,
  })
}
