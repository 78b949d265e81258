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
