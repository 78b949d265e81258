import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  describeError,
  formatRepository,
  gitBlobHash,
  isCommit,
  type Repository,
  type RevisionListing,
  type TreeEntry,
} from '../../hub/index.ts'
import { type Library, pullFile, type RepositorySource, type SnapshotFile } from '../../mirror/index.ts'
import { ContentMismatch, type ContentSource, type Storage } from '../../plugin/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { GrowingFile } from './growing-file.ts'

export interface PullThroughOptions {
  readonly storage: Storage
  readonly library: Library
  readonly logger: Logger
  /** The Hub, as this token's owner sees it. */
  sourceFor(token: string | undefined): RepositorySource
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
  readonly token: string | undefined
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

  constructor(options: PullThroughOptions) {
    this.#options = options
    this.#listings = new LRUCache({
      max: 200,
      ttl: options.refreshAfter,
      fetchMethod: async (_key, _stale, { context, signal }) =>
        await options.sourceFor(context.token).describe(context.repository, context.revision, { signal }),
    })
  }

  /** The file, if the Hub has it and lets this token read it; `undefined`: the upstream is to answer. */
  async find(
    repository: Repository,
    revision: string,
    path: string,
    token: string | undefined,
  ): Promise<PulledFile | undefined> {
    const who = token === undefined ? '' : createHash('sha256').update(token).digest('base64url')
    const key = `${formatRepository(repository)} ${revision} ${who}`
    let listing: RevisionListing | undefined
    try {
      listing = await this.#listings.fetch(key, {
        context: { repository, revision, token },
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
    if (listing === undefined || file === undefined) return undefined
    return {
      commit: listing.commit,
      file: snapshotFile(file),
      join: () => this.#join(repository, listing, file, token),
    }
  }

  /** Whether a client that wants bytes from `start` on should wait for them. */
  static isNear(growing: GrowingFile, start: number): boolean {
    return start <= growing.available + farthestWait
  }

  async #join(
    repository: Repository,
    listing: RevisionListing,
    file: TreeEntry,
    token: string | undefined,
  ): Promise<GrowingFile> {
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
      void this.#download(growing, repository, listing, file, token, () => this.#downloads.delete(key))
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
    token: string | undefined,
    onEnd: () => void,
  ): Promise<void> {
    const { storage, library, logger } = this.#options
    const about = { repository: formatRepository(repository), commit: listing.commit, path: file.path }
    const source = this.#options.sourceFor(token)
    try {
      // Each byte is received once and goes to disk; clients and the storage read it from there. So the
      // storage may stop reading, or begin again, and what clients get is the same.
      const content = source.open(repository, listing.commit, file, { signal: new AbortController().signal })
      const received = receive(content, file, growing)
      received.catch((error: unknown) => growing.fail(error instanceof Error ? error : new Error(String(error))))
      const request = {
        origin: source.origin,
        repository,
        listing,
        file,
        content: (start: number) => growing.content(start),
      }
      await pullFile(storage, request)
      await received
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
}

/** Puts the content on disk, and compares it with the Hub's word. */
async function receive(content: ContentSource, file: TreeEntry, growing: GrowingFile): Promise<void> {
  const [hash, expected] =
    file.lfs === undefined ? [gitBlobHash(file.size), file.oid] : [createHash('sha256'), file.lfs.oid]
  for await (const bytes of content(0)) {
    hash.update(bytes)
    await growing.append(bytes)
  }
  const found = hash.digest('hex')
  if (found !== expected) throw new ContentMismatch(file.path, expected, found)
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
