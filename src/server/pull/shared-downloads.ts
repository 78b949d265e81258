import { formatRepository, type Repository, type TreeEntry } from '../../hub/index.ts'
import type { Rights } from '../../plugin/index.ts'
import type { GrowingFile } from './growing-file.ts'
import type { FoundRevision } from './listings.ts'
import type { Spool } from './spool.ts'

/** A file that somebody wants. */
export interface Wanted {
  /** The id of the request. */
  readonly request: string
  readonly repository: Repository
  readonly found: FoundRevision
  readonly file: TreeEntry
  readonly rights: Rights
}

interface Download {
  readonly growing: Promise<GrowingFile>
  file?: GrowingFile
  /** Whether the content has come, and is right. */
  readonly received: Promise<boolean>
  /** What it is kept as: paths of commits. */
  readonly places: Set<string>
  /** What is under way for it. */
  tasks: number
  /** It is kept as one place after another: the first stores the content, the others find it there. */
  lastKept: Promise<void>
}

export interface SharedDownloadsOptions {
  readonly spool: Spool
  /** Fetches the content; resolves to whether it has come. Never rejects. */
  receive(growing: GrowingFile, wanted: Wanted): Promise<boolean>
  /** Records the content as what is wanted. Never rejects. */
  keep(growing: GrowingFile, wanted: Wanted, received: Promise<boolean>): Promise<void>
}

/** Contents on their way: each is fetched once, for all paths and commits of its repository that want it. */
export class SharedDownloads {
  readonly #options: SharedDownloadsOptions
  readonly #downloads = new Map<string, Download>()
  readonly #running = new Set<Promise<unknown>>()

  constructor(options: SharedDownloadsOptions) {
    this.#options = options
  }

  has(repository: Repository, file: TreeEntry): boolean {
    return this.#downloads.has(keyOf(repository, file))
  }

  async hasRoom(repository: Repository, file: TreeEntry): Promise<boolean> {
    return await this.#options.spool.reserve(keyOf(repository, file), file.size)
  }

  /** Joins the download that is under way, or begins one. Rejects where there is no room. */
  async join(wanted: Wanted): Promise<GrowingFile> {
    const key = keyOf(wanted.repository, wanted.file)
    const download = this.#downloads.get(key) ?? this.#begin(key, wanted)
    // At once where it is there: what is under way may end before anything that is waited for.
    const growing = download.file ?? (await download.growing)
    growing.use()
    const place = `${wanted.found.listing.commit} ${wanted.file.path}`
    if (!download.places.has(place)) {
      download.places.add(place)
      const before = download.lastKept
      download.lastKept = before.then(() => this.#options.keep(growing, wanted, download.received))
      this.#follow(key, download, growing, download.lastKept)
    }
    return growing
  }

  /** Resolves once nothing is under way. */
  async ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  #begin(key: string, wanted: Wanted): Download {
    const { oid, size } = wanted.file
    const growing = this.#options.spool.create(key, oid, size)
    const received = growing.then(
      (created) => this.#options.receive(created, wanted),
      () => false,
    )
    const download: Download = { growing, received, places: new Set<string>(), tasks: 0, lastKept: Promise.resolve() }
    this.#downloads.set(key, download)
    growing.then(
      (created) => {
        download.file = created
        this.#follow(key, download, created, received, true)
      },
      () => this.#downloads.delete(key),
    )
    return download
  }

  /** The download is there for others as long as anything is under way for it. */
  #follow(key: string, download: Download, growing: GrowingFile, task: Promise<unknown>, isFirst = false): void {
    if (!isFirst) growing.use()
    download.tasks++
    this.#running.add(task)
    const end = async (): Promise<void> => {
      this.#running.delete(task)
      download.tasks--
      if (download.tasks === 0) this.#downloads.delete(key)
      await growing.release()
    }
    void task.then(end)
  }
}

/** The Hub's id of the content. */
function keyOf(repository: Repository, file: TreeEntry): string {
  return `${formatRepository(repository)} ${file.lfs?.oid ?? file.oid}`
}
