import { setTimeout as delay } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
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

/** Milliseconds that a look-up waits to hear whether a manifest is the same: a storage that is silent holds nobody up. */
const patience = 1_000

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
    const { refreshAfter } = this.#options
    const age = performance.now() - kept.checkedAt
    if (age < refreshAfter / 2) return kept.snapshot
    // Half way, so that one that is asked for all the time is known to be the same, and nobody waits for that.
    const checked = shared(this.#checking, key, () => this.#check(lookUp, kept))
    return age < refreshAfter ? kept.snapshot : await orKept(checked, kept)
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

/** What is under way by this key, or else begun. */
function shared<Found>(
  underWay: Map<string, Promise<Found>>,
  key: string,
  begin: () => Promise<Found>,
): Promise<Found> {
  let promise = underWay.get(key)
  if (promise === undefined) {
    promise = begin().finally(() => underWay.delete(key))
    underWay.set(key, promise)
  }
  return promise
}

/** What was kept, where the check takes too long: it counts as checked then, so that not every request waits for it. */
async function orKept(checked: Promise<Snapshot | undefined>, kept: Kept): Promise<Snapshot | undefined> {
  const over = new AbortController()
  const late = delay(patience, 'late' as const, { signal: over.signal, ref: false }).catch(() => undefined)
  const first = await Promise.race([checked, late])
  over.abort()
  if (first !== 'late') return first
  kept.checkedAt = performance.now()
  return kept.snapshot
}
