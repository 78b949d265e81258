import { setTimeout as delay } from 'node:timers/promises'
import {
  describeError,
  Failure,
  formatRepository,
  type Repository,
  type RevisionListing,
  type TreeEntry,
} from '../../hub/index.ts'
import { type DatedListing, type Library, recordFile, type SnapshotFile, storeFile } from '../../mirror/index.ts'
import { type Rights, type Storage, StorageFull } from '../../plugin/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { GrowingFile } from './growing-file.ts'
import { PullListings, type PullSource } from './pull-listings.ts'
import { receiveRest, snapshotFile, tee } from './pulled-content.ts'
import { Spool } from './spool.ts'

export interface PullThroughOptions {
  readonly storage: Storage
  readonly library: Library
  readonly logger: Logger
  /** The authority, asked with these rights. */
  sourceFor(rights: Rights): PullSource
  /** Whether a repository may be stored: what nobody could be served would be pulled for every request. */
  keeps(info: RevisionListing['info']): boolean
  /** Where downloads under way lie. */
  readonly spoolDirectory: string
  /** Bytes that they may take there at a time. */
  readonly spoolLimit: number
  /** Milliseconds for which a branch is believed to be where it was. */
  readonly refreshAfter: number
}

/** A file that is on its way into the storage. */
export interface PulledFile {
  readonly commit: string
  readonly file: SnapshotFile
  /** Joins the download that is under way, or begins one, for the request of this id. Release it in the end. */
  join(request: string): Promise<GrowingFile>
}

/** A range this far ahead of a download, in bytes, is better asked of the Hub. */
const farthestWait = 64 * 1024 * 1024

/** Milliseconds for which nothing is pulled after the storage was found full. */
const fullPeriod = 60_000

/** Milliseconds for aborted downloads to tidy up. */
const closingTime = 2_000

/**
 * Brings missing files into the storage while clients receive them. All that want one file at a
 * time share one download; it goes on if they leave. What arrives is hashed and becomes part of a
 * mirrored revision only if it is whole and what the Hub says it is.
 */
export class PullThrough {
  readonly #options: PullThroughOptions
  readonly #listings: PullListings
  readonly #downloads = new Map<string, Promise<GrowingFile>>()
  /** One manifest is changed by one file at a time. */
  readonly #recording = new Map<string, Promise<void>>()
  readonly #spool: Spool
  readonly #running = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #storageFullUntil = 0

  constructor(options: PullThroughOptions) {
    this.#options = options
    const { spoolDirectory, spoolLimit, logger } = options
    this.#spool = new Spool({ directory: spoolDirectory, limit: spoolLimit, logger })
    void this.#spool.clean()
    this.#listings = new PullListings({
      sourceFor: (rights) => options.sourceFor(rights),
      refreshAfter: options.refreshAfter,
      signal: this.#stop.signal,
    })
  }

  /**
   * The file, if the Hub has it and there is room for it; `undefined`: the upstream is to answer. The rights must be
   * known to read the repository's files: downloads are shared by all who want them.
   */
  async find(repository: Repository, revision: string, path: string, rights: Rights): Promise<PulledFile | undefined> {
    let listed: DatedListing | undefined
    try {
      listed = await this.#listings.find(repository, revision, rights)
    } catch (error) {
      this.#options.logger.debug(
        { repository: formatRepository(repository), revision, reason: describeError(error) },
        'not pulled',
      )
      return undefined
    }
    const file = listed?.listing.files.find((one) => one.path === path)
    if (listed === undefined || file === undefined || !this.#options.keeps(listed.listing.info)) return undefined
    const { listing } = listed
    if (!(await this.#hasRoom(repository, listing, file))) {
      this.#options.logger.info({ repository: formatRepository(repository), path, size: file.size }, 'no room to pull')
      return undefined
    }
    return {
      commit: listing.commit,
      file: snapshotFile(file),
      join: (request) => this.#join(request, repository, listed, file, rights),
    }
  }

  /** Lets downloads end within `gracePeriod` milliseconds, or until `cut`, and aborts the rest. */
  async close(gracePeriod: number, cut?: AbortSignal): Promise<void> {
    const all = Promise.allSettled(this.#running)
    const over = new AbortController()
    const signal = cut === undefined ? over.signal : AbortSignal.any([over.signal, cut])
    // The delay ends early, by rejecting, where the grace period is cut.
    await Promise.race([all, delay(gracePeriod, undefined, { signal }).catch(() => undefined)])
    over.abort()
    this.#stop.abort(new Failure('ServerStopped', 503, 'the server was stopped during the download'))
    await Promise.race([Promise.allSettled(this.#running), delay(closingTime, undefined, { ref: false })])
  }

  /** Whether a client that wants bytes from `start` on should wait for them. */
  static isNear(growing: GrowingFile, start: number): boolean {
    return start <= growing.available + farthestWait
  }

  async #join(
    request: string,
    repository: Repository,
    listed: DatedListing,
    file: TreeEntry,
    rights: Rights,
  ): Promise<GrowingFile> {
    const key = keyOf(repository, listed.listing, file)
    let download = this.#downloads.get(key)
    if (download === undefined) {
      download = this.#spool.create(key, file.oid, file.size)
      this.#downloads.set(key, download)
      const growing = await download.catch((error: unknown) => {
        this.#downloads.delete(key)
        throw error
      })
      growing.use()
      const running = this.#download(request, growing, repository, listed, file, rights, () =>
        this.#downloads.delete(key),
      )
      this.#running.add(running)
      void running.finally(() => this.#running.delete(running))
      return growing
    }
    const growing = await download
    growing.use()
    return growing
  }

  async #download(
    request: string,
    growing: GrowingFile,
    repository: Repository,
    listed: DatedListing,
    file: TreeEntry,
    rights: Rights,
    onEnd: () => void,
  ): Promise<void> {
    const { listing } = listed
    const { storage, library, logger } = this.#options
    const about = { request, repository: formatRepository(repository), commit: listing.commit, path: file.path }
    const source = this.#options.sourceFor(rights)
    const { signal } = this.#stop
    const content = source.open(repository, listing.commit, file, { signal })
    try {
      const teed = tee(content, growing)
      const blob = await storeFile(storage, file, teed, { signal }).catch(async (error: unknown) => {
        if (!(error instanceof StorageFull)) throw error
        this.#storageFullUntil = performance.now() + fullPeriod
        logger.error({ ...about, err: error }, 'not kept: the storage is full')
        await receiveRest(content, growing, file)
      })
      if (blob !== undefined) {
        // A blob that another repository had brought is not asked for again: then nothing passed through here.
        if (growing.available < file.size - 1) for await (const _ of await teed(0));
        await this.#record(repository, () => recordFile(storage, source.origin, repository, listed, file.path, blob))
        library.forget(repository)
        logger.info({ ...about, bytes: file.size }, 'pulled')
      }
      growing.prove()
    } catch (error) {
      this.#spool.noteFull(error)
      growing.fail(error instanceof Error ? error : new Error(String(error)))
      logger.error({ ...about, reason: describeError(error), err: error }, 'pull failed')
    }
    onEnd()
    await growing.release()
  }

  async #hasRoom(repository: Repository, listing: RevisionListing, file: TreeEntry): Promise<boolean> {
    const key = keyOf(repository, listing, file)
    if (this.#downloads.has(key)) return true
    const { library } = this.#options
    const stored = (await library.find(repository, listing.commit))?.files.get(file.path)
    if (stored?.key !== undefined) return true
    if (this.#stop.signal.aborted || performance.now() < this.#storageFullUntil) return false
    return await this.#spool.reserve(key, file.size)
  }

  async #record(repository: Repository, record: () => Promise<void>): Promise<void> {
    const key = formatRepository(repository)
    const before = this.#recording.get(key) ?? Promise.resolve()
    const turn = before.then(record, record)
    this.#recording.set(key, turn)
    try {
      await turn
    } finally {
      if (this.#recording.get(key) === turn) this.#recording.delete(key)
    }
  }
}

function keyOf(repository: Repository, listing: RevisionListing, file: TreeEntry): string {
  return `${formatRepository(repository)} ${listing.commit} ${file.path}`
}
