import { LRUCache } from 'lru-cache'
import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import type { PulledEntry } from './journal.ts'
import { addEntry, type LoadedSnapshot, loadSnapshot, refreshSnapshot } from './read-snapshot.ts'
import type { Snapshot } from './snapshot.ts'

export interface SnapshotCacheOptions {
  /** Bytes of memory for parsed manifests and the answers rendered from them. */
  readonly memory: number
  /** Milliseconds within which a change or removal of a manifest is noticed. */
  readonly refreshAfter: number
}

interface KeptSnapshot extends LoadedSnapshot {
  /** When it was last known to be what is stored, by the process's clock, in milliseconds. */
  checkedAt: number
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
    const loaded = await loadSnapshot(storage, repository, commit)
    if (loaded === undefined) {
      this.#snapshots.delete(key)
      this.#absent.set(key, true)
    } else this.#snapshots.set(key, { ...loaded, checkedAt: performance.now() })
    return loaded?.snapshot
  }

  /** A manifest may be removed, or name its blobs anew; what is unchanged stays parsed, and gets what others have pulled. */
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
      if (!(await refreshSnapshot(kept))) return await this.#load(storage, repository, commit, key)
      kept.checkedAt = performance.now()
      return kept.snapshot
    }
    const checking = check().finally(() => this.#loading.delete(key))
    this.#loading.set(key, checking)
    return await checking
  }

  /** Adds a file that this process has pulled; returns whether the commit is in memory, with the same manifest. */
  add(key: string, entry: PulledEntry): boolean {
    const journal = this.#snapshots.peek(key)?.journal
    if (journal === undefined || journal.birth !== entry.of) return false
    addEntry(journal, entry)
    return true
  }

  /** Forgets every commit whose key contains `mark`. */
  forget(mark: string): void {
    for (const cache of [this.#snapshots, this.#absent])
      for (const key of cache.keys()) if (key.includes(mark)) cache.delete(key)
  }
}
