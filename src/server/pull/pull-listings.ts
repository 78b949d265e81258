import { createHash } from 'node:crypto'
import {
  formatRepository,
  isCommit,
  ListingTooLarge,
  type Repository,
  type RevisionListing,
  type RevisionPlace,
  sizeOfListing,
} from '../../hub/index.ts'
import { type DatedListing, type RepositorySource, SharedAnswers, Turns } from '../../mirror/index.ts'
import type { Rights } from '../../plugin/index.ts'

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
}

export interface PullListingsOptions {
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
const turns = { atATime: 2, waiting: 256, patience: 5_000 }

/** `undefined`: it would be too large. */
interface Listed {
  readonly dated: DatedListing | undefined
}

/**
 * The files of revisions. A commit has thousands of names (`refs/pr/1`, each of its abbreviations), and its listing takes
 * a hundred questions and megabytes of memory where it has many files: which commit it is is asked first.
 */
export class PullListings {
  readonly #options: PullListingsOptions
  readonly #places: SharedAnswers<RevisionPlace>
  readonly #listings: SharedAnswers<Listed>
  readonly #turns = new Turns(turns)

  constructor(options: PullListingsOptions) {
    this.#options = options
    const { refreshAfter } = options
    this.#places = new SharedAnswers({ memory: placeMemory, keptFor: refreshAfter, sizeOf: () => 512 })
    this.#listings = new SharedAnswers({
      memory: listingMemory,
      keptFor: Math.max(commitListedFor, refreshAfter),
      sizeOf: ({ dated }) => 256 + (dated === undefined ? 0 : sizeOfListing(dated.listing)),
    })
  }

  /** Bytes that listings take. */
  get size(): number {
    return this.#listings.size
  }

  /** `undefined` where there are too many files. Rejects where the source does, or where too many wait already. */
  async find(repository: Repository, revision: string, rights: Rights): Promise<DatedListing | undefined> {
    const who = rights.use === 'client' ? createHash('sha256').update(rights.token).digest('base64url') : rights.use
    const scope = `${formatRepository(repository)} ${who}`
    const source = this.#options.sourceFor(rights)
    const { signal } = this.#options
    const { commit, ref } = isCommit(revision)
      ? { commit: revision }
      : await this.#places.get(`${scope} ${revision}`, () => source.locate(repository, revision, { signal }))
    const { dated } = await this.#listings.get(`${scope} ${commit}`, () =>
      this.#turns.take(() => this.#list(source, repository, commit)),
    )
    return dated === undefined || ref === undefined ? dated : { ...dated, listing: { ...dated.listing, ref } }
  }

  async #list(source: PullSource, repository: Repository, commit: string): Promise<Listed> {
    const listedAt = new Date()
    const { signal } = this.#options
    try {
      const listing = await source.describe(repository, commit, { signal, memory: largestListing })
      return { dated: sizeOfListing(listing) > largestListing ? undefined : { listing, listedAt } }
    } catch (error) {
      if (error instanceof ListingTooLarge) return { dated: undefined }
      throw error
    }
  }
}
