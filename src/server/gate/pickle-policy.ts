import { mayOpenXet, type NamedRepository, type Repository, repositoryTypes, type Target } from '../../hub/index.ts'
import type { Rights } from '../../plugin/index.ts'
import { type Authority, AuthorityUnavailable } from './authority.ts'
import { type Listing, listingOf } from './listing.ts'
import { isPickle } from './pickle-names.ts'
import type { ReadableLibrary } from './readable-library.ts'
import { contentRefused, everythingRefused, fileRefused, listingUnavailable } from './refusals.ts'
import { RevisionListings } from './revision-listings.ts'

export type PickleRule = 'allow' | 'refuse' | 'refuse-if-safetensors'

/** What a request is checked with. */
export interface PickleContext {
  /** As the client sees it. */
  readonly library: ReadableLibrary
  /** Those that the authority would be asked with for the request itself. */
  readonly rights: Rights
  /** Oids of an LFS batch that downloads. */
  readonly oids?: readonly string[] | undefined
}

/** What content can be asked for: by its path, by its hash, or together with everything else. */
type Wanted =
  | { readonly by: 'path'; readonly path: string; readonly revision: string | undefined }
  | { readonly by: 'content'; readonly oids: readonly string[] }
  | { readonly by: 'everything' }

/** Whether weights that run code when they are loaded are sent to clients. */
export class PicklePolicy {
  readonly #rule: PickleRule
  readonly #listings: RevisionListings | undefined

  constructor(rule: PickleRule, authority: Authority | undefined) {
    this.#rule = rule
    this.#listings = authority && new RevisionListings(authority)
  }

  get isInForce(): boolean {
    return this.#rule !== 'allow'
  }

  /** Rejects with a `HubFailure`: 403 where the file is refused, 503 where that cannot be told. */
  async assertTarget(target: Target, context: PickleContext): Promise<void> {
    if (!this.isInForce) return
    const wanted = wantedBy(target, context.oids)
    if (wanted === undefined) return
    if (wanted.by === 'everything') throw everythingRefused()
    const repository = 'repository' in target ? repositoryOf(target.repository) : undefined
    if (wanted.by === 'content') return await this.#assertContent(repository, wanted.oids, context)
    if (!isPickle(wanted.path)) return
    if (this.#rule === 'refuse' || repository === undefined || wanted.revision === undefined)
      throw fileRefused(wanted.path)
    const { hasSafetensors } = await this.#listing(repository, wanted.revision, context)
    if (hasSafetensors) throw fileRefused(wanted.path)
  }

  /** What is asked for by its hash must be a file of `main`, and none that is refused. */
  async #assertContent(
    repository: Repository | undefined,
    oids: readonly string[],
    context: PickleContext,
  ): Promise<void> {
    if (repository === undefined) throw contentRefused(oids[0] ?? '')
    const { contents, hasSafetensors } = await this.#listing(repository, 'main', context)
    for (const oid of oids) {
      if (!contents.has(oid)) throw contentRefused(oid)
      const pickle = contents.get(oid)
      if (pickle !== undefined && (this.#rule === 'refuse' || hasSafetensors)) throw fileRefused(pickle)
    }
  }

  async #listing(repository: Repository, revision: string, context: PickleContext): Promise<Listing> {
    const snapshot = await context.library.find(repository, revision)
    if (snapshot !== undefined)
      return listingOf([...snapshot.files.values()].map(({ path, lfs }) => [path, lfs?.sha256] as const))
    if (this.#listings === undefined) return listingOf([]) // offline: nothing but what is stored can be sent
    try {
      return await this.#listings.find(repository, revision, context.rights)
    } catch (error) {
      if (error instanceof AuthorityUnavailable) throw listingUnavailable(error)
      throw error
    }
  }
}

/**
 * Routes that give content without its paths: a push's and a fetch's by plain HTTP, archives, a registry's blobs by a
 * digest that is spelled in another way than `oci-blob` knows.
 */
const wholes: ReadonlySet<string> = new Set(['archive', 'git-upload-archive', 'objects', 'head', 'blobs'])

/** Whether a route without a grammar may give content that is looked into by nobody here. */
function mayGiveWhole({ segments }: Target): boolean {
  return segments.some((segment) => /\.git$/i.test(segment) || wholes.has(segment.toLowerCase()))
}

/** Routes of Xet's own servers, such as `/v1/reconstructions/{hash}`, which read like a repository's name. */
function isXetContent({ segments }: Target): boolean {
  const [word = '', ...rest] = /^v\d+$/i.test(segments[0] ?? '') ? segments.slice(1) : segments
  return xetRoutes.test(word) && (rest.length === 0 || /^[0-9a-f]{64}$/i.test(rest.at(-1) ?? ''))
}

const xetRoutes = /^(?:reconstructions|xorbs|chunks)$/i

function wantedBy(target: Target, oids: readonly string[] | undefined): Wanted | undefined {
  if (mayOpenXet(target) || isXetContent(target)) return { by: 'everything' }
  switch (target.operation) {
    case 'resolve':
    case 'raw':
    case 'resolve-cache':
      return { by: 'path', path: target.path, revision: target.revision }
    // Files of buckets and kernels, pages of files, and whatever else ends in a file's name.
    case 'repository-read':
    case 'repository-other':
      // A registry's names may have another number of segments than a repository's.
      if (wholes.has(target.route) || (target.segments[0] === 'v2' && mayGiveWhole(target))) return { by: 'everything' }
      return target.route === '' ? undefined : { by: 'path', path: target.segments.at(-1) ?? '', revision: undefined }
    case 'other':
      if (mayGiveWhole(target)) return { by: 'everything' }
      return { by: 'path', path: target.segments.at(-1) ?? '', revision: undefined }
    case 'oci-blob':
      return { by: 'content', oids: [target.digest.replace(/^sha256:/, '')] }
    case 'lfs-object':
      return { by: 'content', oids: [target.oid] }
    case 'lfs-batch':
      return oids === undefined ? undefined : { by: 'content', oids }
    case 'lfs':
      return target.route.startsWith('objects/') && target.route !== 'objects/verify' ? { by: 'everything' } : undefined
    case 'git-upload-pack':
      return { by: 'everything' }
    case 'git-refs':
      return target.service === 'git-upload-pack' ? { by: 'everything' } : undefined
    default:
      return undefined
  }
}

function repositoryOf({ type, id }: NamedRepository): Repository | undefined {
  const mirrored = repositoryTypes.find((one) => one === type)
  return mirrored === undefined ? undefined : { type: mirrored, id }
}
