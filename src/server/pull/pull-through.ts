import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  describeError,
  formatRepository,
  isCommit,
  type Repository,
  type RevisionListing,
  type TreeEntry,
} from '../../hub/index.ts'
import { type Library, type RepositorySource, recordFile, type SnapshotFile, storeFile } from '../../mirror/index.ts'
import type { ContentSource, Rights, Storage } from '../../plugin/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { GrowingFile } from './growing-file.ts'

export interface PullThroughOptions {
  readonly storage: Storage
  readonly library: Library
  readonly logger: Logger
  /** The authority, asked with these rights. */
  sourceFor(rights: Rights): RepositorySource
  /** Whether a repository may be stored: what nobody could be served would be pulled for every request. */
  keeps(info: RevisionListing['info']): boolean
  /** Where downloads under way lie. */
  readonly spoolDirectory: string
  /** Milliseconds for which a branch is believed to be where it was. */
  readonly refreshAfter: number
}

/** A file that is on its way into the storage. */
export interface PulledFile {
  readonly commit: string
  readonly file: SnapshotFile
  /** Joins the download that is under way, or begins one. Release it in the end. */
  join(): Promise<GrowingFile>
}

/** A range this far ahead of a download, in bytes, is better asked of the Hub. */
const farthestWait = 64 * 1024 * 1024

interface Asked {
  readonly repository: Repository
  readonly revision: string
  readonly rights: Rights
}

/**
 * Brings missing files into the storage while clients receive them. All that want one file at a
 * time share one download; it goes on if they leave. What arrives is hashed and becomes part of a
 * mirrored revision only if it is whole and what the Hub says it is.
 */
export class PullThrough {
  readonly #options: PullThroughOptions
  readonly #listings: LRUCache<string, RevisionListing, Asked>
  readonly #downloads = new Map<string, Promise<GrowingFile>>()
  /** One manifest is changed by one file at a time. */
  readonly #recording = new Map<string, Promise<void>>()

  constructor(options: PullThroughOptions) {
    this.#options = options
    this.#listings = new LRUCache({
      max: 200,
      ttl: options.refreshAfter,
      fetchMethod: async (_key, _stale, { context, signal }) =>
        await options.sourceFor(context.rights).describe(context.repository, context.revision, { signal }),
    })
  }

  /** The file, if the Hub has it and these rights suffice to read it; `undefined`: the upstream is to answer. */
  async find(repository: Repository, revision: string, path: string, rights: Rights): Promise<PulledFile | undefined> {
    const who = rights.use === 'client' ? createHash('sha256').update(rights.token).digest('base64url') : rights.use
    const key = `${formatRepository(repository)} ${revision} ${who}`
    let listing: RevisionListing | undefined
    try {
      listing = await this.#listings.fetch(key, {
        context: { repository, revision, rights },
        ...(isCommit(revision) && { ttl: 3_600_000 }),
      })
    } catch (error) {
      this.#options.logger.debug(
        { repository: formatRepository(repository), revision, reason: describeError(error) },
        'not pulled',
      )
      return undefined
    }
    const file = listing?.files.find((one) => one.path === path)
    if (listing === undefined || file === undefined || !this.#options.keeps(listing.info)) return undefined
    return {
      commit: listing.commit,
      file: snapshotFile(file),
      join: () => this.#join(repository, listing, file, rights),
    }
  }

  /** Whether a client that wants bytes from `start` on should wait for them. */
  static isNear(growing: GrowingFile, start: number): boolean {
    return start <= growing.available + farthestWait
  }

  async #join(repository: Repository, listing: RevisionListing, file: TreeEntry, rights: Rights): Promise<GrowingFile> {
    const key = `${formatRepository(repository)} ${listing.commit} ${file.path}`
    let download = this.#downloads.get(key)
    if (download === undefined) {
      download = GrowingFile.create(this.#options.spoolDirectory, file.oid, file.size)
      this.#downloads.set(key, download)
      const growing = await download.catch((error: unknown) => {
        this.#downloads.delete(key)
        throw error
      })
      growing.use()
      void this.#download(growing, repository, listing, file, rights, () => this.#downloads.delete(key))
      return growing
    }
    const growing = await download
    growing.use()
    return growing
  }

  async #download(
    growing: GrowingFile,
    repository: Repository,
    listing: RevisionListing,
    file: TreeEntry,
    rights: Rights,
    onEnd: () => void,
  ): Promise<void> {
    const { storage, library, logger } = this.#options
    const about = { repository: formatRepository(repository), commit: listing.commit, path: file.path }
    const source = this.#options.sourceFor(rights)
    try {
      const content = teed(
        source.open(repository, listing.commit, file, { signal: new AbortController().signal }),
        growing,
      )
      const blob = await storeFile(storage, file, content)
      // A blob that another repository had brought is not asked for again: then nothing passed through here.
      if (growing.available < file.size - 1) for await (const _ of await content(0));
      await this.#record(repository, () => recordFile(storage, source.origin, repository, listing, file.path, blob))
      library.forget(repository)
      growing.prove()
      logger.info({ ...about, bytes: file.size }, 'pulled')
    } catch (error) {
      growing.fail(error instanceof Error ? error : new Error(String(error)))
      logger.error({ ...about, reason: describeError(error) }, 'pull failed')
    }
    onEnd()
    await growing.release()
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

/** The content for the storage, which also lands in the growing file. */
function teed(content: ContentSource, growing: GrowingFile): ContentSource {
  return async function* (start) {
    let offset = 0
    // A storage that kept a part of an interrupted write needs only the rest; the clients need all.
    for await (const bytes of content(0)) {
      await growing.append(bytes)
      const skipped = Math.max(0, Math.min(bytes.length, start - offset))
      offset += bytes.length
      if (skipped < bytes.length) yield bytes.subarray(skipped)
    }
  }
}

function snapshotFile(file: TreeEntry): SnapshotFile {
  return {
    path: file.path,
    size: file.size,
    oid: file.oid,
    etag: file.lfs?.oid ?? file.oid,
    ...(file.lfs !== undefined && { lfs: { sha256: file.lfs.oid, pointerSize: file.lfs.pointerSize ?? 0 } }),
    key: undefined,
  }
}
