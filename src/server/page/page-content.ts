import { describeError, type Repository } from '../../hub/index.ts'
import {
  type Catalog,
  distinctBytes,
  type Library,
  readCatalog,
  readVerification,
  type Verification,
} from '../../mirror/index.ts'
import type { UpstreamState } from '../../plugin/index.ts'
import { isPublic } from '../gate/index.ts'
import type { Miss, Misses } from '../observe/misses.ts'

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

/** What the page shows of the storages, read once for all who look. */
export class PageContent {
  readonly #library: Library
  readonly #misses: Misses
  readonly #showsNonPublic: boolean
  #kept: Promise<readonly StorageContent[]> | undefined
  #keptUntil = 0

  /** `showsNonPublic`: private and gated repositories are shown too; otherwise they are as if they were not mirrored. */
  constructor(library: Library, misses: Misses, showsNonPublic: boolean) {
    this.#library = library
    this.#misses = misses
    this.#showsNonPublic = showsNonPublic
  }

  async storages(): Promise<readonly StorageContent[]> {
    if (this.#kept === undefined || Date.now() > this.#keptUntil) {
      this.#kept = Promise.all(this.#library.storages.map((storage) => this.#read(storage)))
      this.#keptUntil = Date.now() + keptFor
    }
    return await this.#kept
  }

  misses(): Miss[] {
    return this.#misses.list(20)
  }

  async #read(storage: Library['storages'][number]): Promise<StorageContent> {
    const options = { signal: AbortSignal.timeout(timeout) }
    try {
      await storage.ready(options)
      const [catalog, verification] = await Promise.all([
        readCatalog(storage, options),
        readVerification(storage, options),
      ])
      return { storage: storage.name, catalog: this.#showsNonPublic ? catalog : publicOf(catalog), verification }
    } catch (error) {
      return { storage: storage.name, failure: describeError(error) }
    }
  }
}

/** The page is for whoever reaches it, so it shows what the Hub gave to everybody. */
function publicOf({ repositories }: Catalog): Catalog {
  const shown = repositories.filter(({ manifests }) => manifests.every(isPublic))
  return { repositories: shown, bytes: distinctBytes(shown.flatMap(({ manifests }) => manifests)) }
}
