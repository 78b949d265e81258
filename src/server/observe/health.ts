import { describeError } from '../../hub/index.ts'
import type { Storage } from '../../plugin/index.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

export interface StorageHealth {
  readonly storage: string
  readonly ready: boolean
  readonly reason?: string
}

/** Asks every storage whether it can be read now. */
export async function checkStorages(storages: readonly Storage[], metrics: Metrics): Promise<StorageHealth[]> {
  return await Promise.all(
    storages.map(async (storage) => {
      try {
        await storage.ready()
        metrics.storageReady(storage.name, true)
        return { storage: storage.name, ready: true }
      } catch (error) {
        metrics.storageReady(storage.name, false)
        return { storage: storage.name, ready: false, reason: describeError(error) }
      }
    }),
  )
}

/** What `/ready` says. */
export interface Readiness {
  /** `degraded`: something is down, and requests are answered all the same. */
  readonly status: 'ready' | 'degraded' | 'not ready' | 'stopping'
  /** Whether requests should come here. */
  readonly canAnswer: boolean
  /** Names of what is down. */
  readonly down: readonly string[]
}

/**
 * Whether requests can be answered. With an upstream they can while a storage is down, by passing them on: a bucket's
 * outage is everybody's, and must not take every replica out of service.
 */
export function readinessOf(
  storages: readonly StorageHealth[],
  { accepting, upstreams }: { readonly accepting: boolean; readonly upstreams: number },
): Readiness {
  const down = storages.filter(({ ready }) => !ready).map(({ storage }) => storage)
  if (!accepting) return { status: 'stopping', canAnswer: false, down }
  if (down.length === 0) return { status: 'ready', canAnswer: true, down }
  return upstreams > 0 ? { status: 'degraded', canAnswer: true, down } : { status: 'not ready', canAnswer: false, down }
}
