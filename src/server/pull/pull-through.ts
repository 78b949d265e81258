import { setTimeout as delay } from 'node:timers/promises'
import {
  describeError,
  Failure,
  type FileTarget,
  formatRepository,
  type Repository,
  type RevisionListing,
  type TreeEntry,
} from '../../hub/index.ts'
import { type FetchTurn, type Library, Puller, type PullRequest, type SnapshotFile } from '../../mirror/index.ts'
import { ContentMismatch, type ContentSource, type Rights, type Storage, StorageFull } from '../../plugin/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { GrowingFile } from './growing-file.ts'
import { type FoundRevision, Listings, type PullSource } from './listings.ts'
import { confirm, firstFrom, receive, snapshotFile } from './pulled-content.ts'
import { SharedDownloads, type Wanted } from './shared-downloads.ts'
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

/** How a download begins. */
interface Beginning {
  /** Held until the content is stored, so that other processes wait for it. */
  readonly turn: FetchTurn | undefined
  /** The content as the storage has it for another path. */
  readonly stored: ContentSource | undefined
}

/** A range this far ahead of a download, in bytes, is better asked of the Hub. */
const farthestWait = 64 * 1024 * 1024

/** Milliseconds for which nothing is pulled after the storage was found full. */
const fullPeriod = 60_000

/** Milliseconds that a client waits for another process's fetch of what it wants; it gives up after ten seconds without a byte. */
const fetchPatience = 4_000

/** Milliseconds for aborted downloads to tidy up. */
const closingTime = 2_000

/**
 * Brings missing files into the storage while clients receive them. All that want one content at a
 * time share one download; it goes on if they leave. What arrives is hashed and becomes part of a
 * mirrored revision only if it is whole and what the Hub says it is.
 */
export class PullThrough {
  readonly #options: PullThroughOptions
  readonly #listings: Listings
  readonly #puller: Puller
  readonly #downloads: SharedDownloads
  readonly #spool: Spool
  readonly #stop = new AbortController()
  readonly #beginnings = new WeakMap<GrowingFile, Promise<Beginning>>()
  /** Ids of contents whose stored bytes were found wrong. */
  readonly #damaged = new Set<string>()
  #storageFullUntil = 0

  constructor(options: PullThroughOptions) {
    this.#options = options
    const { spoolDirectory, spoolLimit, logger } = options
    this.#spool = new Spool({ directory: spoolDirectory, limit: spoolLimit, logger })
    void this.#spool.clean()
    this.#listings = new Listings({
      sourceFor: (rights) => options.sourceFor(rights),
      refreshAfter: options.refreshAfter,
      signal: this.#stop.signal,
    })
    this.#puller = new Puller(options.storage)
    this.#downloads = new SharedDownloads({
      spool: this.#spool,
      receive: (growing, wanted) => this.#receive(growing, wanted),
      keep: (growing, wanted, received) => this.#keep(growing, wanted, received),
    })
  }

  /**
   * The file, if the Hub has it and there is room for it; `undefined`: the upstream is to answer. The rights must be
   * known to read the repository's files: downloads are shared by all who want them.
   */
  async find(
    request: string,
    { repository, revision, path }: FileTarget,
    rights: Rights,
  ): Promise<PulledFile | undefined> {
    const { logger } = this.#options
    const notPulled = (reason: string): undefined => void logger.debug({ request, path, reason }, 'not pulled')
    let found: FoundRevision
    try {
      found = await this.#listings.find(repository, revision, rights)
    } catch (error) {
      return notPulled(describeError(error))
    }
    const file = found.files.get(path)
    if (file === undefined) return notPulled('the Hub lists no such file')
    if (!this.#options.keeps(found.listing.info))
      return notPulled('it is not public, and would be for everybody once stored')
    if (!(await this.#hasRoom(repository, found.listing, file))) {
      logger.info({ request, repository: formatRepository(repository), path, size: file.size }, 'no room to pull')
      return undefined
    }
    return {
      commit: found.listing.commit,
      file: snapshotFile(file),
      join: (joining) => this.#downloads.join({ request: joining, repository, found, file, rights }),
    }
  }

  /** Lets downloads end within `gracePeriod` milliseconds, or until `cut`, and aborts the rest. */
  async close(gracePeriod: number, cut?: AbortSignal): Promise<void> {
    const all = this.#downloads.ended()
    const over = new AbortController()
    const signal = cut === undefined ? over.signal : AbortSignal.any([over.signal, cut])
    // The delay ends early, by rejecting, where the grace period is cut.
    await Promise.race([all, delay(gracePeriod, undefined, { signal }).catch(() => undefined)])
    over.abort()
    this.#stop.abort(new Failure('ServerStopped', 503, 'the server was stopped during the download'))
    const ended = this.#downloads.ended().then(() => this.#puller[Symbol.asyncDispose]())
    await Promise.race([ended, delay(closingTime, undefined, { ref: false })])
  }

  /** Whether a client that wants bytes from `start` on should wait for them. */
  static isNear(growing: GrowingFile, start: number): boolean {
    return start <= growing.available + farthestWait
  }

  /**
   * Each byte is received once and goes to disk; clients and the storage read it from there. So the
   * storage may stop reading, or begin again, or fail, and what clients get is the same.
   */
  async #receive(growing: GrowingFile, wanted: Wanted): Promise<boolean> {
    const { repository, found, file, rights } = wanted
    const source = this.#options.sourceFor(rights)
    const beginning = this.#begin(file)
    this.#beginnings.set(growing, beginning)
    const { stored } = await beginning
    const { signal } = this.#stop
    const fetched = source.open(repository, found.listing.commit, file, { signal })
    try {
      if (stored !== undefined) await confirm(fetched, file)
      await receive(stored === undefined ? fetched : firstFrom(stored, fetched), file, growing)
      growing.prove()
      return true
    } catch (error) {
      // The next request is answered by the Hub, until the blob is repaired.
      if (stored !== undefined && error instanceof ContentMismatch) this.#damaged.add(file.oid)
      this.#spool.noteFull(error)
      growing.fail(error instanceof Error ? error : new Error(String(error)))
      const trouble = { ...about(wanted), reason: describeError(error), err: error }
      this.#options.logger.error(trouble, 'pull failed')
      return false
    }
  }

  /** Waits for another process that fetches the same content, and looks whether it is stored. Never rejects. */
  async #begin(file: TreeEntry): Promise<Beginning> {
    const { signal } = this.#stop
    const turn = await this.#puller.takeFetchTurn(file, fetchPatience, signal)
    const stored = this.#damaged.has(file.oid) ? undefined : await this.#puller.stored(file, signal)
    return { turn, stored }
  }

  async #keep(growing: GrowingFile, wanted: Wanted, received: Promise<boolean>): Promise<void> {
    const { storage, library, logger, sourceFor } = this.#options
    const { repository, found, file, rights } = wanted
    const { listing, listedAt, refs } = found
    const { origin } = sourceFor(rights)
    const content: ContentSource = (start) => growing.content(start)
    const { signal } = this.#stop
    const beginning = await this.#beginnings.get(growing)
    try {
      // What is stored is kept for another path only once it has been found right.
      if (beginning?.stored !== undefined && !(await received)) return
      const request: PullRequest = { origin, repository, listing, listedAt, refs, file, content, signal }
      library.notePulled(storage, repository, listing.commit, await this.#puller.pull(request))
      logger.info({ ...about(wanted), bytes: file.size }, 'pulled')
    } catch (error) {
      // What did not come has been told; what the storage did not take still reaches the clients that wait for it.
      if (await received) this.#reportUnkept(error, wanted)
    } finally {
      await received
      await beginning?.turn?.[Symbol.asyncDispose]()
    }
  }

  async #hasRoom(repository: Repository, listing: RevisionListing, file: TreeEntry): Promise<boolean> {
    if (this.#downloads.has(repository, file)) return true
    const { library } = this.#options
    const stored = (await library.find(repository, listing.commit))?.files.get(file.path)
    if (stored?.key !== undefined) return true
    if (this.#stop.signal.aborted || performance.now() < this.#storageFullUntil) return false
    return await this.#downloads.hasRoom(repository, file)
  }

  #reportUnkept(error: unknown, wanted: Wanted): void {
    const isFull = error instanceof StorageFull
    if (isFull) this.#storageFullUntil = performance.now() + fullPeriod
    this.#options.logger.error({ ...about(wanted), err: error }, isFull ? 'not kept: the storage is full' : 'not kept')
  }
}

function about({ request, repository, found, file }: Wanted): object {
  return { request, repository: formatRepository(repository), commit: found.listing.commit, path: file.path }
}
