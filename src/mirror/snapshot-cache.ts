import { LRUCache } from 'lru-cache'
import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { manifestKey } from './layout.ts'
import { readLegacySnapshot } from './legacy.ts'
import { parseManifest } from './manifest.ts'
import { visibleManifest } from './metadata.ts'
import { readText } from './objects.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'

export interface SnapshotCacheOptions {
  /** Bytes of memory for parsed manifests and the answers rendered from them. */
  readonly memory: number
  /** Milliseconds within which a change or removal of a manifest is noticed. */
  readonly refreshAfter: number
}

/** A parsed manifest, and the version that it was. */
interface KeptSnapshot {
  readonly snapshot: Snapshot
  readonly stamp: string
  /** When it was last known to be that version, by the process's clock, in milliseconds. */
  checkedAt: number
}

/** What tells one version of a manifest from another without reading it; the same for none as for one of the Python tool's. */
async function readStamp(storage: Storage, repository: Repository, commit: string): Promise<string> {
  const found = await storage.stat(manifestKey(repository, commit))
  return found === undefined ? '' : `${found.generation ?? ''} ${found.updatedAt.getTime()} ${found.size}`
}

/** Parsed manifests, by storage and commit. */
export class SnapshotCache {
  readonly #options: SnapshotCacheOptions
  readonly #snapshots: LRUCache<string, KeptSnapshot>
  /** Commits that a storage was found not to have. */
  readonly #absent: LRUCache<string, true>
  readonly #loading = new Map<string, Promise<Snapshot | undefined>>()

  constructor(options: SnapshotCacheOptions) {
    this.#options = options
    this.#snapshots = new LRUCache({
      maxSize: options.memory,
      sizeCalculation: ({ snapshot }) => Math.max(1, snapshot.weight),
    })
    this.#absent = new LRUCache({ max: 10_000, ttl: options.refreshAfter })
  }

  /** A mirrored commit; `undefined` where the storage lacks it. `key` names both. */
  async get(key: string, storage: Storage, repository: Repository, commit: string): Promise<Snapshot | undefined> {
    const kept = this.#snapshots.get(key)
    if (kept !== undefined) {
      const age = performance.now() - kept.checkedAt
      if (age < this.#options.refreshAfter / 2) return kept.snapshot
      const checking = this.#checkAgain(storage, repository, commit, key, kept)
      if (age < this.#options.refreshAfter) {
        checking.catch(() => undefined) // asked again, and told, when it is due
        return kept.snapshot
      }
      return await checking
    }
    if (this.#absent.has(key)) return undefined
    let loading = this.#loading.get(key)
    if (loading === undefined) {
      loading = this.#load(storage, repository, commit, key).finally(() => this.#loading.delete(key))
      this.#loading.set(key, loading)
    }
    return await loading
  }

  async #load(storage: Storage, repository: Repository, commit: string, key: string): Promise<Snapshot | undefined> {
    // Before it is read: one that is changed meanwhile is found changed at the next check.
    const stamp = await readStamp(storage, repository, commit)
    const snapshot = await readSnapshot(storage, repository, commit)
    if (snapshot === undefined) {
      this.#snapshots.delete(key)
      this.#absent.set(key, true)
    } else this.#snapshots.set(key, { snapshot, stamp, checkedAt: performance.now() })
    return snapshot
  }

  /** A manifest may be completed, removed, or name its blobs anew; what is unchanged stays parsed. */
  async #checkAgain(
    storage: Storage,
    repository: Repository,
    commit: string,
    key: string,
    kept: KeptSnapshot,
  ): Promise<Snapshot | undefined> {
    const running = this.#loading.get(key)
    if (running !== undefined) return await running
    const check = async (): Promise<Snapshot | undefined> => {
      if ((await readStamp(storage, repository, commit)) !== kept.stamp)
        return await this.#load(storage, repository, commit, key)
      kept.checkedAt = performance.now()
      return kept.snapshot
    }
    const checking = check().finally(() => this.#loading.delete(key))
    this.#loading.set(key, checking)
    return await checking
  }

  /** Forgets every commit whose key contains `mark`. */
  forget(mark: string): void {
    for (const cache of [this.#snapshots, this.#absent])
      for (const key of cache.keys()) if (key.includes(mark)) cache.delete(key)
  }
}

/** Reads a mirrored commit, of our layout or the Python tool's. */
export async function readSnapshot(
  storage: Storage,
  repository: Repository,
  commit: string,
): Promise<Snapshot | undefined> {
  const key = manifestKey(repository, commit)
  const text = await readText(storage, key)
  if (text === undefined) return await readLegacySnapshot(storage, repository, commit)
  const manifest = visibleManifest(parseManifest(key, text))
  return manifest === undefined ? undefined : snapshotOf(storage, manifest, text.length)
}
