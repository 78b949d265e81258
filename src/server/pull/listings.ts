import {
  formatRepository,
  type HubRefs,
  isCommit,
  ListingTooLarge,
  type RefKind,
  type Repository,
  type RevisionListing,
  type RevisionPlace,
  sizeOfListing,
  type TreeEntry,
} from '../../hub/index.ts'
import type { DatedListing, PulledRef, RepositorySource } from '../../mirror/index.ts'
import { keyOfRights, type Rights } from '../../plugin/index.ts'
import { SharedAnswers, Turns } from '../../sharing/index.ts'

/** Where files come from. */
export interface PullSource extends RepositorySource {
  /** Where a revision is, without what it costs to list its files. */
  locate(repository: Repository, revision: string, options: { signal: AbortSignal }): Promise<RevisionPlace>
  /** @param options.memory bytes that the listing may take; it rejects with {@link ListingTooLarge} */
  describe(
    repository: Repository,
    revision: string,
    options: { signal: AbortSignal; memory?: number },
  ): Promise<RevisionListing>
  /** The refs as they are now; `undefined` where they can't be listed. */
  refs(repository: Repository, options: { readonly signal: AbortSignal }): Promise<HubRefs | undefined>
}

/** A revision as the Hub has it, and the refs that are at its commit. */
export interface FoundRevision extends DatedListing {
  /** Its files by path. */
  readonly files: ReadonlyMap<string, TreeEntry>
  readonly refs: readonly PulledRef[]
}

export interface ListingsOptions {
  /** The authority, asked with these rights. */
  sourceFor(rights: Rights): PullSource
  /** Milliseconds for which a branch is believed to be where it was. */
  readonly refreshAfter: number
  readonly signal: AbortSignal
}

/** Milliseconds for which the files of a commit are known: they stay, but who may read them does not. */
const commitListedFor = 60_000

/** Bytes for listings, of which one may take most, and for the commits of revisions. */
const listingMemory = 64 * 1024 * 1024
const largestListing = 48 * 1024 * 1024
const placeMemory = 4 * 1024 * 1024

/** Beyond, the Hub answers: a client gives up after ten seconds. */
const turns = { of: 'listings of files', atATime: 2, waiting: 256, patience: 5_000 }

/** Refs noted of one commit. */
const mostRefs = 8
/** Bytes that an entry of a map takes. */
const mapEntry = 48

/** `undefined`: it would be too large. */
interface Listed {
  readonly found: FoundRevision | undefined
}

/**
 * The files of revisions. A commit has thousands of names (`refs/pr/1`, each of its abbreviations), and its listing takes
 * a hundred questions and megabytes of memory where it has many files: which commit it is is asked first.
 */
export class Listings {
  readonly #options: ListingsOptions
  readonly #places: SharedAnswers<RevisionPlace>
  readonly #listings: SharedAnswers<Listed>
  readonly #turns = new Turns(turns)

  constructor(options: ListingsOptions) {
    this.#options = options
    const { refreshAfter } = options
    this.#places = new SharedAnswers({ memory: placeMemory, keptFor: refreshAfter, sizeOf: () => 512 })
    this.#listings = new SharedAnswers({
      memory: listingMemory,
      keptFor: Math.max(commitListedFor, refreshAfter),
      sizeOf: ({ found }) => 256 + (found === undefined ? 0 : sizeOf(found)),
    })
  }

  /** Bytes that listings take. */
  get size(): number {
    return this.#listings.size
  }

  /** Rejects where the source does, where there are too many files, and where too many wait already. */
  async find(repository: Repository, revision: string, rights: Rights): Promise<FoundRevision> {
    const scope = `${formatRepository(repository)} ${keyOfRights(rights)}`
    const source = this.#options.sourceFor(rights)
    const { signal } = this.#options
    const { commit, ref, saidAt }: RevisionPlace = isCommit(revision)
      ? { commit: revision }
      : await this.#places.get(`${scope} ${revision}`, () => source.locate(repository, revision, { signal }))
    const { found } = await this.#listings.get(`${scope} ${commit}`, () =>
      this.#turns.take(() => this.#list(source, repository, commit)),
    )
    if (found === undefined) throw new ListingTooLarge(largestListing)
    if (ref === undefined) return found
    return { ...found, listing: { ...found.listing, ref }, refs: [{ ...ref, ...(saidAt !== undefined && { saidAt }) }] }
  }

  async #list(source: PullSource, repository: Repository, commit: string): Promise<Listed> {
    const listedAt = new Date()
    const { signal } = this.#options
    try {
      const [listing, hubRefs] = await Promise.all([
        source.describe(repository, commit, { signal, memory: largestListing }),
        // Clients ask for files by commit: then the refs say which branch it was. It is pulled without them, too.
        source.refs(repository, { signal }).catch(() => undefined),
      ])
      const files = new Map(listing.files.map((file) => [file.path, file]))
      const found = { listing, listedAt, files, refs: hubRefs === undefined ? [] : refsAt(hubRefs, listing.commit) }
      return { found: sizeOf(found) > largestListing ? undefined : found }
    } catch (error) {
      if (error instanceof ListingTooLarge) return { found: undefined }
      throw error
    }
  }
}

function sizeOf({ listing, files }: FoundRevision): number {
  return sizeOfListing(listing) + mapEntry * files.size
}

function refsAt({ branches, tags, converts }: HubRefs, commit: string): PulledRef[] {
  const ofKind = (kind: RefKind, refs: HubRefs['branches']): PulledRef[] =>
    refs.filter(({ targetCommit }) => targetCommit === commit).map(({ name }) => ({ name, kind }))
  const all = [...ofKind('branch', branches), ...ofKind('tag', tags), ...ofKind('convert', converts)]
  return all.toSorted((a, b) => Number(b.name === 'main') - Number(a.name === 'main')).slice(0, mostRefs)
}
