import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { formatRepository, type TreeEntry } from '../hub/index.ts'
import type { ContentSource, OperationOptions, Storage } from '../plugin/index.ts'
import { shared } from '../sharing/index.ts'
import { type AdoptedFile, adoptBlobs, nameOf } from './adopt.ts'
import { infoMark, manifestFile } from './compose-manifest.ts'
import { DeletionLog } from './deletion-log.ts'
import { type FetchTurn, takeFetchTurn } from './fetch-lease.ts'
import { JournalClaim } from './journal-claim.ts'
import { blobKey, journalKey, manifestKey } from './layout.ts'
import type { Lease } from './lease.ts'
import type { ManifestFile } from './manifest.ts'
import { writeMarker } from './marker.ts'
import { stampOf } from './objects.ts'
import { openRevision, type PulledRevision } from './pulled-revision.ts'
import { storedBlob, storeFile } from './store-file.ts'
import { WorkerLease } from './worker-lease.ts'

export interface PullRequest extends PulledRevision, OperationOptions {
  readonly file: TreeEntry
  /** Asked again where the blob's name was condemned meanwhile. */
  readonly content: ContentSource
}

/** A file that is in the journal now. */
export interface Pulled {
  /** The birth of the manifest to which it belongs. */
  readonly of: string
  readonly file: ManifestFile
}

/** A commit whose manifest was found open, and the version of the manifest that was. */
interface OpenRevision {
  readonly birth: string
  readonly stamp: string
  /** What had been said of the repository. */
  readonly info: string
}

/**
 * Stores single files of commits, for a server that pulls them through: each is recorded in the
 * commit's journal, by two small writes, so that a commit of many files costs no more for each.
 */
export class Puller implements AsyncDisposable {
  readonly #storage: Storage
  readonly #lease: WorkerLease
  readonly #log: DeletionLog
  readonly #open = new LRUCache<string, OpenRevision>({ max: 1000 })
  /** The commit with which a ref was opened last: it may have gone back to one that is known. */
  readonly #refs = new LRUCache<string, string>({ max: 1000 })
  readonly #opening = new Map<string, Promise<string>>()
  #prepared: Promise<void> | undefined

  constructor(storage: Storage) {
    this.#storage = storage
    this.#lease = new WorkerLease(storage)
    this.#log = new DeletionLog(storage)
  }

  /** Rejects with a `ClaimLost` where the commit was removed meanwhile, or the server taken for dead. */
  async pull(request: PullRequest): Promise<Pulled> {
    const { repository, listing, file } = request
    await this.#prepare()
    await using use = await this.#lease.use()
    const { lease } = use
    const signal = request.signal === undefined ? lease.signal : AbortSignal.any([request.signal, lease.signal])
    const birth = await this.#birth(request, lease)
    const key = journalKey(repository, listing.commit, file.path)
    const claim = new JournalClaim({
      storage: this.#storage,
      lease: lease.id,
      signal,
      key,
      birth,
      file: manifestFile(file, undefined),
    })
    try {
      const adopted = await this.#adopt(request, claim, signal)
      return { of: birth, file: await claim.commit(manifestFile(file, adopted.blob)) }
    } catch (error) {
      await claim.release().catch(() => undefined)
      throw lease.signal.aborted ? lease.signal.reason : error
    }
  }

  /** Its turn to fetch a large file's content, or word that it is stored; at once for others. Never rejects: it is a hint. */
  async takeFetchTurn(file: TreeEntry, patience: number, signal: AbortSignal): Promise<FetchTurn | undefined> {
    if (file.lfs === undefined) return undefined
    try {
      await this.#prepare()
      await using use = await this.#lease.use()
      const name = nameOf(storedBlob(this.#log.nameFor(file.lfs.oid)))
      return await takeFetchTurn({ storage: this.#storage, lease: use.lease, name, size: file.size, patience, signal })
    } catch {
      return undefined // what is wrong with the storage is told when the content is kept
    }
  }

  /** A large file's content as it is stored already, for another commit, path or repository. Not verified; never rejects. */
  async stored(file: TreeEntry, signal: AbortSignal): Promise<ContentSource | undefined> {
    if (file.lfs === undefined || file.size === 0) return undefined
    try {
      await this.#prepare()
      const key = blobKey(nameOf(storedBlob(this.#log.nameFor(file.lfs.oid))))
      const found = await this.#storage.stat(key, { signal })
      if (found?.size !== file.size) return undefined
      const [storage, last] = [this.#storage, file.size - 1]
      return async function* (start) {
        yield* await storage.read(key, { signal, range: { start, end: last } })
      }
    } catch {
      return undefined
    }
  }

  /** Ends the lease; to be called when no pull is under way any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease[Symbol.asyncDispose]()
  }

  async #adopt({ file, content }: PullRequest, claim: JournalClaim, signal: AbortSignal): Promise<AdoptedFile> {
    const storage = this.#storage
    const log = this.#log
    // The name is claimed before anything is stored, so that no sweep takes it for an orphan.
    const sha256 = file.lfs?.oid ?? (await sha256Of(content))
    const adopted: AdoptedFile = { file, blob: storedBlob(log.nameFor(sha256)), isStored: false }
    const store = async (missing: readonly AdoptedFile[]): Promise<void> => {
      for (const one of missing) {
        const nameFor = (found: string): string => (one.blob === undefined ? log.nameFor(found) : nameOf(one.blob))
        one.blob = await storeFile(storage, file, content, { signal, nameFor })
        one.isStored = true
      }
    }
    await adoptBlobs({ storage, log, run: claim.run, claim, files: [adopted], store, signal })
    return adopted
  }

  /** The log is read before anything else is looked at, once: what is new in it is read with each pull. */
  async #prepare(): Promise<void> {
    this.#prepared ??= this.#log.read().then(async () => await writeMarker(this.#storage))
    await this.#prepared.catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
  }

  /**
   * The birth of the commit's manifest. One that is known is believed as long as the manifest is the
   * same version and the Hub says the same of it: reading it costs seconds where it has many files, and asking for its
   * version nothing.
   */
  async #birth(revision: PulledRevision, lease: Lease): Promise<string> {
    const { repository, listing, refs } = revision
    const name = [formatRepository(repository), listing.commit, ...refs.map((ref) => ref.name)].join('\n')
    return await shared(this.#opening, name, () => this.#openAgain(name, revision, lease))
  }

  async #openAgain(name: string, revision: PulledRevision, lease: Lease): Promise<string> {
    const { signal } = lease // it is for every pull that waits, and no one's own
    const found = await this.#storage.stat(manifestKey(revision.repository, revision.listing.commit), { signal })
    // Of the version before: if opening it changes it, or anybody does, the next pull opens it once more.
    const stamp = stampOf(found)
    const known = this.#open.get(name)
    const info = infoMark(revision.listing.info)
    const refs = revision.refs.map((ref) => `${formatRepository(revision.repository)}\n${ref.name}`)
    const areThere = refs.every((ref) => this.#refs.get(ref) === revision.listing.commit)
    if (areThere && known !== undefined && stamp !== '' && known.stamp === stamp && known.info === info)
      return known.birth
    const birth = await openRevision(revision, { storage: this.#storage, lease, signal })
    this.#open.set(name, { birth, stamp, info })
    for (const ref of refs) this.#refs.set(ref, revision.listing.commit)
    return birth
  }
}

async function sha256Of(content: ContentSource): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of content(0)) hash.update(bytes)
  return hash.digest('hex')
}
