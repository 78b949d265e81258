import { LRUCache } from 'lru-cache'
import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { shared } from '../sharing/index.ts'
import { believed } from './believed.ts'
import type { PulledEntry } from './journal.ts'
import { addEntry, type LoadedSnapshot, loadSnapshot, refreshSnapshot } from './read-snapshot.ts'
import type { Snapshot } from './snapshot.ts'

export interface KeptSnapshotsOptions {
  /** Bytes of memory. */
  readonly memory: number
  /** Milliseconds for which a manifest, or that there is none, is believed. */
  readonly refreshAfter: number
  /** Told when a storage could not say whether a manifest is still the same. */
  onStorageFailure(storage: Storage, error: unknown): void
}

/** Which commit, and the key that it is kept by. */
export interface CommitLookUp {
  readonly storage: Storage
  readonly repository: Repository
  readonly commit: string
  readonly key: string
}

interface Kept extends LoadedSnapshot {
  /** By `performance.now()`: when that was last known to be the storage's. */
  checkedAt: number
}

/**
 * Mirrored commits in memory. Files of a commit never change, but its manifest may: it is mirrored again when the
 * repository has become private or gated, is completed, or is taken down. So whether it is the same is asked as where a
 * ref points to is; beside the request while the last answer is fresh enough, before it where it is not. What is the
 * same stays parsed, and gets what others have pulled.
 */
export class KeptSnapshots {
  readonly #options: KeptSnapshotsOptions
  readonly #kept: LRUCache<string, Kept>
  /** Commits that a storage was found not to have. */
  readonly #absent: LRUCache<string, true>
  readonly #loading = new Map<string, Promise<Snapshot | undefined>>()
  readonly #checking = new Map<string, Promise<Snapshot | undefined>>()

  constructor(options: KeptSnapshotsOptions) {
    this.#options = options
    this.#kept = new LRUCache({
      maxSize: options.memory,
      sizeCalculation: ({ snapshot }) => Math.max(1, snapshot.weight),
    })
    this.#absent = new LRUCache({ max: 10_000, ttl: options.refreshAfter })
  }

  /** Rejects where the storage can't be read and nothing is kept. */
  async find(lookUp: CommitLookUp): Promise<Snapshot | undefined> {
    const { key } = lookUp
    const kept = this.#kept.get(key)
    if (kept === undefined) {
      return this.#absent.has(key) ? undefined : await shared(this.#loading, key, () => this.#load(lookUp))
    }
    const believe = (): void => {
      kept.checkedAt = performance.now()
    }
    const ask = () => shared(this.#checking, key, () => this.#check(lookUp, kept))
    const { snapshot: value, checkedAt } = kept
    return await believed<Snapshot | undefined>({ value, checkedAt, believe }, this.#options.refreshAfter, ask)
  }

  /** Adds a file that this process has pulled; returns whether the commit is in memory, with the same manifest. */
  add(key: string, entry: PulledEntry): boolean {
    const journal = this.#kept.peek(key)?.journal
    if (journal === undefined || journal.birth !== entry.of) return false
    addEntry(journal, entry)
    return true
  }

  /** Forgets what is kept by a key that contains `mark`. */
  forget(mark: string): void {
    for (const cache of [this.#kept, this.#absent])
      for (const key of cache.keys()) if (key.includes(mark)) cache.delete(key)
  }

  /** Never rejects. */
  async #check(lookUp: CommitLookUp, kept: Kept): Promise<Snapshot | undefined> {
    try {
      if (!(await refreshSnapshot(kept))) return await this.#load(lookUp)
    } catch (error) {
      this.#options.onStorageFailure(lookUp.storage, error)
    }
    kept.checkedAt = performance.now()
    return kept.snapshot
  }

  async #load({ storage, repository, commit, key }: CommitLookUp): Promise<Snapshot | undefined> {
    const checkedAt = performance.now()
    const loaded = await loadSnapshot(storage, repository, commit)
    if (loaded === undefined) {
      this.#kept.delete(key)
      this.#absent.set(key, true)
    } else this.#kept.set(key, { ...loaded, checkedAt })
    return loaded?.snapshot
  }
}
