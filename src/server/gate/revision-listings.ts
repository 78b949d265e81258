import { z } from 'zod'
import { formatTarget, HubFailure, isCommit, type Repository } from '../../hub/index.ts'
import { keyOfRights, type Rights } from '../../plugin/index.ts'
import { NoTurn, SharedAnswers, Turns } from '../../sharing/index.ts'
import { type Authority, type AuthorityAnswer, AuthorityUnavailable } from './authority.ts'
import { type Listing, listingOf, sizeOfListing } from './listing.ts'

/** Milliseconds for which it is believed where a revision is, and what its files decide for who may see it. */
const keptFor = 60_000

/** Bytes for the listings of commits, as many as the largest answer has, and for the commits of revisions. */
const listingMemory = 32 * 1024 * 1024
const commitMemory = 4 * 1024 * 1024

/** An answer may take 32 MiB, and some times that while it is parsed. Clients themselves give up after ten seconds. */
const turns = { of: 'listings of files', atATime: 2, waiting: 256, patience: 5_000 }

const siblingsSchema = z.object({
  siblings: z.array(z.object({ rfilename: z.string(), lfs: z.object({ sha256: z.string() }).nullish() })),
})
const commitSchema = z.object({ sha: z.string().refine(isCommit) })

/** Where a revision is; `undefined`: the authority does not say so for less than a listing. */
interface Place {
  readonly commit: string | undefined
}

/**
 * What the files of revisions decide, asked of the authority where nothing is stored. A commit has thousands of names
 * (`refs/pr/1`, each of its abbreviations), and its listing takes megabytes to read: which commit it is is asked first.
 */
export class RevisionListings {
  readonly #authority: Authority
  readonly #places = new SharedAnswers<Place>({ memory: commitMemory, keptFor, sizeOf: () => 256 })
  readonly #listings = new SharedAnswers<Listing>({ memory: listingMemory, keptFor, sizeOf: sizeOfListing })
  readonly #turns = new Turns(turns)

  constructor(authority: Authority) {
    this.#authority = authority
  }

  /** Bytes that listings take. */
  get size(): number {
    return this.#listings.size
  }

  /**
   * Rejects with {@link AuthorityUnavailable}, or with the Hub's own refusal where these rights do not suffice to see the
   * revision.
   */
  async find(repository: Repository, revision: string, rights: Rights): Promise<Listing> {
    // Not shared between credentials.
    const scope = `${repository.type} ${repository.id.toLowerCase()} ${keyOfRights(rights)}`
    const { commit } = isCommit(revision)
      ? { commit: revision }
      : await this.#places.get(`${scope} ${revision}`, () => this.#locate(repository, revision, rights))
    const asked = commit ?? revision
    return await this.#listings.get(`${scope} ${asked}`, () => this.#list(repository, asked, rights))
  }

  async #locate(repository: Repository, revision: string, rights: Rights): Promise<Place> {
    const answer = await this.#authority.ask(
      formatTarget({ operation: 'info', repository, revision }, 'expand[]=sha'),
      rights,
    )
    // Not every mirror takes the question for one field.
    if (answer.status !== 400) assertAnswered(answer)
    return { commit: commitSchema.safeParse(answer.json).data?.sha }
  }

  async #list(repository: Repository, revision: string, rights: Rights): Promise<Listing> {
    const target = formatTarget({ operation: 'info', repository, revision }, 'blobs=true')
    try {
      return await this.#turns.take(async () => {
        const answer = await this.#authority.ask(target, rights)
        assertAnswered(answer)
        const info = siblingsSchema.safeParse(answer.json)
        if (!info.success) throw new AuthorityUnavailable('the Hub did not list the files', { cause: info.error })
        return listingOf(info.data.siblings.map(({ rfilename, lfs }) => [rfilename, lfs?.sha256] as const))
      })
    } catch (error) {
      if (error instanceof NoTurn) throw new AuthorityUnavailable(error.message, { cause: error })
      throw error
    }
  }
}

function assertAnswered({ status, errorCode, errorMessage }: AuthorityAnswer): void {
  if (status >= 400)
    throw new HubFailure(errorCode ?? 'RepoNotFound', status, errorMessage ?? `The Hub answered ${status}.`)
}
