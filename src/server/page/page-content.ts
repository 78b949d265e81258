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

/** Misses that are listed: whether each is mirrored by now is a look-up. */
const mostListed = 500

export interface StorageContent {
  readonly storage: string
  readonly catalog?: Catalog
  readonly verification?: Verification | undefined
  /** Why the storage can't be read. */
  readonly failure?: string
}

interface PageSources {
  readonly library: Pick<Library, 'storages' | 'find'>
  readonly misses: Misses
  /** Milliseconds for which the list of misses is kept: what is stored is believed as long. */
  readonly refreshAfter: number
  /** Takes secrets out of what whoever looks is told. */
  redact(text: string): string
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
  readonly #library: Pick<Library, 'storages' | 'find'>
  readonly #misses: Misses
  readonly #redact: (text: string) => string
  #kept: Promise<readonly StorageContent[]> | undefined
  #keptUntil = 0
  readonly #refreshAfter: number
  #wanted: Promise<readonly Miss[]> | undefined
  #wantedUntil = 0

  constructor({ library, misses, refreshAfter, redact }: PageSources) {
    this.#library = library
    this.#misses = misses
    this.#refreshAfter = refreshAfter
    this.#redact = redact
  }

  async storages(view: ReadableLibrary): Promise<readonly StorageContent[]> {
    if (this.#kept === undefined || Date.now() > this.#keptUntil) {
      this.#kept = Promise.all(this.#library.storages.map(async (storage) => await this.#read(storage, view)))
      this.#keptUntil = Date.now() + keptFor
    }
    return await this.#kept
  }

  /**
   * The most wanted of what was missed and is not mirrored meanwhile. No client's view of the library is asked, for with
   * `access: hub` that asks the Hub: what is stored and not for everybody is left out too, for its name is not either.
   */
  async misses(): Promise<readonly Miss[]> {
    if (this.#wanted === undefined || Date.now() > this.#wantedUntil) {
      this.#wanted = this.#readMisses()
      this.#wantedUntil = Number.POSITIVE_INFINITY // one at a time, however long it takes
      void this.#wanted.finally(() => {
        this.#wantedUntil = Date.now() + this.#refreshAfter
      })
    }
    return await this.#wanted
  }

  async #readMisses(): Promise<Miss[]> {
    const missing: Miss[] = []
    for (const counted of this.#misses.list().slice(0, mostListed)) {
      if (await isThere(this.#library, counted.wanted)) this.#misses.forget(counted)
      else missing.push(counted.miss)
    }
    return missing
  }

  async #read(storage: Library['storages'][number], view: ReadableLibrary): Promise<StorageContent> {
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
      return { storage: storage.name, failure: this.#redact(describeError(error)) }
    }
  }
}

async function isThere(
  library: Pick<ReadableLibrary, 'find'>,
  { repository, revision, path }: Wanted,
): Promise<boolean> {
  const snapshot = await library.find(repository, revision)
  return snapshot !== undefined && (path === undefined || snapshot.files.get(path)?.key !== undefined)
}
