import { basename } from 'node:path/posix'
import { isCommit, isShortCommit, type Repository, repositoryFolder, shortRevision } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { KeptCommits, type NamedCommit, type RefInUse, type RevisionLookUp } from './kept-commits.ts'
import { KeptSnapshots } from './kept-snapshots.ts'
import { commitsPrefix, journalKey, refsPrefix, repositoryPrefix } from './layout.ts'
import { findLegacyCommit } from './legacy.ts'
import { heardAt, type Ref } from './manifest.ts'
import { readRef } from './metadata.ts'
import type { Pulled } from './puller.ts'
import type { Snapshot } from './snapshot.ts'

export interface LibraryOptions {
  /** Bytes of memory for parsed manifests and the answers rendered from them. */
  readonly memory: number
  /** Milliseconds for which what a ref points to, a manifest, or that one is absent, is believed. */
  readonly refreshAfter: number
  /** Told when a storage failed to answer; the look-up goes on with the next storage. */
  onStorageFailure(storage: Storage, error: unknown): void
}

/** What is looked at beside what is mirrored on purpose. */
export interface Look {
  /** Refs of which files were pulled through, where they were last seen. */
  readonly pulled?: boolean
}

/** A mirrored ref, for `/refs`. */
export interface MirroredRef extends Ref {
  readonly name: string
}

/**
 * Answers "is this mirrored, and where" from the storages in order. Manifests are kept in memory;
 * that they are the same still, refs and absences are believed for a short time and then asked again,
 * off the request's path where an answer is at hand. Concurrent look-ups of one thing share one read.
 */
export class Library {
  readonly storages: readonly Storage[]
  readonly #options: LibraryOptions
  readonly #snapshots: KeptSnapshots
  readonly #commits: KeptCommits

  constructor(storages: readonly Storage[], options: LibraryOptions) {
    this.storages = storages
    this.#options = options
    this.#snapshots = new KeptSnapshots(options)
    this.#commits = new KeptCommits({
      refreshAfter: options.refreshAfter,
      onStorageFailure: options.onStorageFailure,
      read: (lookUp) => this.#readCommit(lookUp),
    })
  }

  /**
   * The mirrored commit that a revision names, or `undefined` where no storage has it. Where a
   * branch was when a file was pulled through counts only if asked for: the Hub knows better.
   */
  async find(repository: Repository, revision: string, options: Look = {}): Promise<Snapshot | undefined> {
    let partial: Snapshot | undefined
    for (const storage of this.storages) {
      try {
        const found = await this.#findIn(storage, repository, revision, options.pulled === true)
        if (found?.complete === true) return found
        partial ??= found
      } catch (error) {
        this.#options.onStorageFailure(storage, error)
      }
    }
    return partial
  }

  /** Whether any revision of the repository is mirrored. */
  async has(repository: Repository): Promise<boolean> {
    for (const storage of this.storages) {
      try {
        if ((await storage.children(repositoryPrefix(repository))).length > 0) return true
        if ((await findLegacyCommit(storage, repository, 'main')) !== undefined) return true
      } catch (error) {
        this.#options.onStorageFailure(storage, error)
      }
    }
    return false
  }

  /** Every mirrored ref, those of an earlier storage before those of a later; with `pulled`, as in {@link find}. */
  async refs(repository: Repository, options: Look = {}): Promise<MirroredRef[]> {
    const refs = new Map<string, MirroredRef>()
    for (const storage of this.storages) {
      try {
        for (const child of await storage.children(refsPrefix(repository))) {
          const name = decodeURIComponent(child.replace(/\.json$/, ''))
          if (refs.has(name)) continue
          const ref = await readRef(storage, repository, name)
          if (ref !== undefined && (ref.pulled !== true || options.pulled === true)) refs.set(name, { name, ...ref })
        }
      } catch (error) {
        this.#options.onStorageFailure(storage, error)
      }
    }
    return [...refs.values()]
  }

  /** The refs that clients asked for last. */
  refsInUse(limit: number): RefInUse[] {
    const refs: RefInUse[] = []
    for (const { ref } of this.#commits.values()) {
      if (refs.length === limit) break
      if (ref !== undefined) refs.push(ref)
    }
    return refs
  }

  /** Notes a file that this process has pulled into a storage, so that it is found at once. */
  notePulled(storage: Storage, repository: Repository, commit: string, { of, file }: Pulled): void {
    const name = basename(journalKey(repository, commit, file.path))
    const isAdded = this.#snapshots.add(this.#cacheKey(storage, repository, commit), { name, of, file })
    if (!isAdded) this.#forget(repository)
  }

  #forget(repository: Repository): void {
    const mark = `\n${repositoryFolder(repository)}\n`
    this.#commits.forget(mark)
    this.#snapshots.forget(mark)
  }

  async #findIn(
    storage: Storage,
    repository: Repository,
    revision: string,
    pulled: boolean,
  ): Promise<Snapshot | undefined> {
    const commit = isCommit(revision)
      ? revision
      : await this.#commitOf(storage, repository, shortRevision(revision), pulled)
    if (commit === undefined) return undefined
    return await this.#snapshots.find({ storage, repository, commit, key: this.#cacheKey(storage, repository, commit) })
  }

  async #commitOf(
    storage: Storage,
    repository: Repository,
    revision: string,
    pulled: boolean,
  ): Promise<string | undefined> {
    const key = this.#cacheKey(storage, repository, revision)
    const found = await this.#commits.find({ storage, repository, revision, key })
    return found.pulled === true && !pulled ? undefined : found.commit
  }

  async #readCommit({ storage, repository, revision }: RevisionLookUp): Promise<NamedCommit> {
    const ref = await readRef(storage, repository, revision)
    if (ref !== undefined) {
      const inUse = { repository, name: revision, updatedAt: heardAt(ref) }
      return { commit: ref.commit, pulled: ref.pulled, ref: inUse }
    }
    if (isShortCommit(revision)) {
      const commits = await storage.children(commitsPrefix(repository))
      const matching = commits.filter((name) => name.startsWith(revision))
      if (matching.length === 1) return { commit: matching[0]?.replace(/\.json$/, '') }
    }
    return { commit: await findLegacyCommit(storage, repository, revision) }
  }

  #cacheKey(storage: Storage, repository: Repository, revision: string): string {
    return `${this.storages.indexOf(storage)}\n${repositoryFolder(repository)}\n${revision}`
  }
}
