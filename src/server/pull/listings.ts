import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import {
  formatRepository,
  type HubRefs,
  isCommit,
  type RefKind,
  type Repository,
  type TreeEntry,
} from '../../hub/index.ts'
import type { DatedListing, RepositorySource } from '../../mirror/index.ts'
import type { Rights } from '../../plugin/index.ts'

/** Where repositories are pulled from. */
export interface PullSource extends RepositorySource {
  /** The refs as they are now; `undefined` where they can't be listed. */
  refs(repository: Repository, options: { readonly signal: AbortSignal }): Promise<HubRefs | undefined>
}

interface NamedRef {
  readonly name: string
  readonly kind: RefKind
}

/** A revision as the Hub has it, and the refs that are at its commit. */
export interface FoundRevision extends DatedListing {
  /** Its files by path. */
  readonly files: ReadonlyMap<string, TreeEntry>
  readonly refs: readonly NamedRef[]
}

export interface ListingsOptions {
  /** The authority, asked with these rights. */
  sourceFor(rights: Rights): PullSource
  /** Milliseconds for which a branch is believed to be where it was. */
  readonly refreshAfter: number
}

/** Milliseconds for which the files of a commit are known: they stay, but who may read them does not. */
const commitListedFor = 60_000

/** Refs noted of one commit. */
const mostRefs = 8

interface Asked {
  readonly repository: Repository
  readonly revision: string
  readonly rights: Rights
}

/** What the Hub says of revisions, kept apart for each client's rights. */
export class Listings {
  readonly #refreshAfter: number
  readonly #kept: LRUCache<string, FoundRevision, Asked>

  constructor({ sourceFor, refreshAfter }: ListingsOptions) {
    this.#refreshAfter = refreshAfter
    this.#kept = new LRUCache({
      max: 200,
      ttl: refreshAfter,
      fetchMethod: async (_key, _stale, { context, signal }) => {
        const { repository, revision, rights } = context
        return await describe(sourceFor(rights), repository, revision, signal)
      },
    })
  }

  /** Rejects where the Hub does not have it, or not for these rights, or can't be asked. */
  async find(repository: Repository, revision: string, rights: Rights): Promise<FoundRevision> {
    const who = rights.use === 'client' ? createHash('sha256').update(rights.token).digest('base64url') : rights.use
    return await this.#kept.forceFetch(`${formatRepository(repository)} ${revision} ${who}`, {
      context: { repository, revision, rights },
      ...(isCommit(revision) && { ttl: Math.max(commitListedFor, this.#refreshAfter) }),
    })
  }
}

/** Clients ask for files by commit: then the refs say which branch it was. */
async function describe(
  source: PullSource,
  repository: Repository,
  revision: string,
  signal: AbortSignal,
): Promise<FoundRevision> {
  const listedAt = new Date()
  const [listing, hubRefs] = await Promise.all([
    source.describe(repository, revision, { signal }),
    // Without them the commit is pulled all the same.
    isCommit(revision) ? source.refs(repository, { signal }).catch(() => undefined) : undefined,
  ])
  const refs = hubRefs === undefined ? [] : refsAt(hubRefs, listing.commit)
  const files = new Map(listing.files.map((file) => [file.path, file]))
  return { listing, listedAt, files, refs: listing.ref === undefined ? refs : [listing.ref] }
}

function refsAt({ branches, tags, converts }: HubRefs, commit: string): NamedRef[] {
  const ofKind = (kind: RefKind, refs: HubRefs['branches']): NamedRef[] =>
    refs.filter(({ targetCommit }) => targetCommit === commit).map(({ name }) => ({ name, kind }))
  const all = [...ofKind('branch', branches), ...ofKind('tag', tags), ...ofKind('convert', converts)]
  return all.toSorted((a, b) => Number(b.name === 'main') - Number(a.name === 'main')).slice(0, mostRefs)
}
