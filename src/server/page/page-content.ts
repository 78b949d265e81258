import { describeError, type Repository } from '../../hub/index.ts'
import {
  type Catalog,
  type Library,
  limitCatalog,
  readCatalog,
  readVerification,
  type Verification,
} from '../../mirror/index.ts'
import type { UpstreamState } from '../../plugin/index.ts'
import type { ReadableLibrary } from '../gate/readable-library.ts'
import type { Miss, Misses, Wanted } from '../observe/misses.ts'

/** Milliseconds for which what the page shows is kept: whoever reloads it reads no storage. */
const keptFor = 30_000

/** Milliseconds that a storage may take to list what it has. */
const timeout = 30_000

export interface StorageContent {
  readonly storage: string
  readonly catalog?: Catalog
  readonly verification?: Verification | undefined
  /** Why the storage can't be read. */
  readonly failure?: string
}

export interface Overview {
  readonly catalogs: readonly StorageContent[]
  readonly misses: readonly Miss[]
  readonly upstreams: readonly { readonly name: string; readonly state: UpstreamState | undefined }[]
  /** Requests for a repository that were answered from storage. */
  hits(repository: Repository): number
  /** What clients set as `HF_ENDPOINT`. */
  readonly endpoint: string
  readonly at: string
}

/**
 * What the page shows of the storages, read once for all who look. It shows what the gate's view of them shows: nobody
 * who looks is asked who they are, so that the view is that of a client without credentials.
 */
export class PageContent {
  readonly #library: Library
  readonly #misses: Misses
  #kept: Promise<readonly StorageContent[]> | undefined
  #keptUntil = 0

  constructor(library: Library, misses: Misses) {
    this.#library = library
    this.#misses = misses
  }

  async storages(view: ReadableLibrary): Promise<readonly StorageContent[]> {
    if (this.#kept === undefined || Date.now() > this.#keptUntil) {
      this.#kept = Promise.all(this.#library.storages.map(async (storage) => await readContent(storage, view)))
      this.#keptUntil = Date.now() + keptFor
    }
    return await this.#kept
  }

  /**
   * What was missed, and is not mirrored meanwhile. Those that are stored and not shown were answered by an upstream, as
   * if they were not stored.
   */
  async misses(view: ReadableLibrary, limit?: number): Promise<Miss[]> {
    const shown: Miss[] = []
    for (const { miss, wanted } of this.#misses.list()) {
      if (shown.length === limit) break
      if (await isThere(view, wanted)) continue
      if ((await view.has(miss)) || !(await this.#library.has(miss))) shown.push(miss)
    }
    return shown
  }
}

async function readContent(storage: Library['storages'][number], view: ReadableLibrary): Promise<StorageContent> {
  const options = { signal: AbortSignal.timeout(timeout) }
  try {
    await storage.ready(options)
    const [catalog, verification] = await Promise.all([
      readCatalog(storage, options),
      readVerification(storage, options),
    ])
    const shown = await limitCatalog(catalog, async (repository, commit) =>
      commit === undefined ? await view.has(repository) : (await view.find(repository, commit)) !== undefined,
    )
    return { storage: storage.name, catalog: shown, verification }
  } catch (error) {
    return { storage: storage.name, failure: describeError(error) }
  }
}

async function isThere(library: ReadableLibrary, { repository, revision, path }: Wanted): Promise<boolean> {
  const snapshot = await library.find(repository, revision)
  return snapshot !== undefined && (path === undefined || snapshot.files.get(path)?.key !== undefined)
}
