import { LRUCache } from 'lru-cache'
import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { shared } from '../sharing/index.ts'
import { believed } from './believed.ts'

/** A ref that clients have asked for. */
export interface RefInUse {
  readonly repository: Repository
  readonly name: string
  /** When the Hub said so. */
  readonly updatedAt: string
}

/** What a revision's name was found to mean. */
export interface NamedCommit {
  readonly commit: string | undefined
  readonly pulled?: boolean | undefined
  /** Of a ref in a storage: which it is, and since when. */
  readonly ref?: RefInUse
}

/** Which revision, and the key that it is kept by. */
export interface RevisionLookUp {
  readonly storage: Storage
  readonly repository: Repository
  readonly revision: string
  readonly key: string
}

export interface KeptCommitsOptions {
  /** Milliseconds for which a name's commit, or that there is none, is believed. */
  readonly refreshAfter: number
  read(lookUp: RevisionLookUp): Promise<NamedCommit>
  /** Told when a storage could not say where a ref is now. */
  onStorageFailure(storage: Storage, error: unknown): void
}

interface Kept {
  readonly found: NamedCommit
  checkedAt: number
}

/** Where refs and other names of revisions lead. */
export class KeptCommits {
  readonly #options: KeptCommitsOptions
  readonly #kept = new LRUCache<string, Kept>({ max: 10_000 })
  readonly #asking = new Map<string, Promise<NamedCommit>>()

  constructor(options: KeptCommitsOptions) {
    this.#options = options
  }

  /** Rejects where the storage can't be read and no commit is kept. */
  async find(lookUp: RevisionLookUp): Promise<NamedCommit> {
    const { refreshAfter } = this.#options
    const { key } = lookUp
    const kept = this.#kept.get(key)
    const ask = () => shared(this.#asking, key, () => this.#ask(lookUp, kept))
    if (kept?.found.commit !== undefined) {
      const believe = (): void => {
        kept.checkedAt = performance.now()
      }
      return await believed({ value: kept.found, checkedAt: kept.checkedAt, believe }, refreshAfter, ask)
    }
    const isFresh = kept !== undefined && performance.now() - kept.checkedAt < refreshAfter
    return isFresh ? kept.found : await ask()
  }

  /** What is kept, what was asked for last before the others. */
  values(): NamedCommit[] {
    return Array.from(this.#kept.values(), ({ found }) => found)
  }

  /** Forgets what is kept by a key that contains `mark`. */
  forget(mark: string): void {
    for (const key of this.#kept.keys()) if (key.includes(mark)) this.#kept.delete(key)
  }

  async #ask(lookUp: RevisionLookUp, kept: Kept | undefined): Promise<NamedCommit> {
    const checkedAt = performance.now()
    try {
      const found = await this.#options.read(lookUp)
      this.#kept.set(lookUp.key, { found, checkedAt })
      return found
    } catch (error) {
      if (kept?.found.commit === undefined) throw error
      this.#options.onStorageFailure(lookUp.storage, error)
      kept.checkedAt = performance.now()
      return kept.found
    }
  }
}
