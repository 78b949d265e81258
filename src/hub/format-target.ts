import { encodeFilePath } from './file-path.ts'
import type { Address, MirrorOperation, NamedRepository, Operation, Spelling } from './target.ts'
import { encodeSegment, splitPath } from './target-path.ts'

/** The operations whose path follows from their operands. The others carry parts that no operand names. */
export type SpelledOperation = Exclude<
  Operation,
  | 'lfs'
  | 'xet-write-token'
  | 'repository-read'
  | 'repository-write'
  | 'repository-other'
  | 'search'
  | 'listing'
  | 'telemetry'
  | 'page'
  | 'other'
>
export type SpelledAddress = Address<SpelledOperation>

export type QueryInput = string | URLSearchParams | Iterable<[string, string]>

/**
 * The target that asks for `address`: what the mirror's own questions are made of. `query` is without `?`.
 * {@link parseTarget} reads the same from it, but for paths with two readings (see `readings`).
 */
export function formatTarget<Given extends SpelledAddress>(address: Given, query: QueryInput = ''): Given & Spelling {
  const pathname = spellAddress(address)
  return makeTarget(
    address,
    pathname,
    queryOf(address, pathname, spellQuery(query)),
    splitPath(pathname).segments,
    'repository' in address ? [address.repository] : [],
  )
}

/**
 * What stands behind a route where its own rules leave no choice: git's service decides what a request may do, so nothing
 * else stands beside it, or for it; where the body names the repository, nothing but the body does.
 */
export function queryOf(address: Address, pathname: string, query: string): string {
  if (address.operation === 'git-refs') return `service=${address.service}`
  const isNamedByBody = address.operation === 'repository-write' && namedByBody(address) !== undefined
  if (isNamedByBody || /^\/api\/repos\//i.test(pathname)) return ''
  return address.operation === 'repository-other' && address.route === 'info' ? '' : query
}

/**
 * What the body of a write names besides the path: the repository of a copy, or those that a bucket's batch copies from.
 * So do those of all routes below `/api/repos/`.
 */
export function namedByBody({
  route,
  repository,
}: Pick<Extract<Address, { operation: 'repository-write' }>, 'route' | 'repository'>): 'copy' | 'sources' | undefined {
  if (route === 'duplicate' || route === 'lfs-files/duplicate') return 'copy'
  return repository.type === 'bucket' && route === 'batch' ? 'sources' : undefined
}

export function makeTarget<Given extends Address>(
  address: Given,
  pathname: string,
  query: string,
  segments: readonly string[],
  readings: readonly NamedRepository[],
  alternatives: readonly Address[] = [],
  pair?: NamedRepository,
): Given & Spelling {
  const canonical = query === '' ? pathname : `${pathname}?${query}`
  return { ...address, canonical, pathname, query, segments, readings, alternatives, pair }
}

/** Queries that are in canonical spelling already. */
const canonicalQuery = /^[A-Za-z0-9*._-]+=[A-Za-z0-9*._-]*(?:&[A-Za-z0-9*._-]+=[A-Za-z0-9*._-]*)*$/

/** A query as `URLSearchParams` serialises it, which no parser of URLs alters. */
export function spellQuery(query: QueryInput): string {
  if (typeof query === 'string' && (query === '' || canonicalQuery.test(query))) return query
  return new URLSearchParams(query).toString()
}

/** The folder of URLs that a repository's type has at the root: none for models. */
export function webPath({ type, id }: NamedRepository): string {
  return type === 'model' ? `/${id}` : `/${type}s/${id}`
}

export function apiPath({ type, id }: NamedRepository): string {
  return `/api/${type}s/${id}`
}

/** `webPath/resolve/{revision}/{path}`, and others of that form. */
export function filePath(base: string, route: string, revision: string, path: string): string {
  return `${base}/${route}/${encodeRevision(revision)}/${encodeFilePath(path)}`
}

/** A file or folder below `root`; the root itself where `path` is empty. */
export function spellFileBelow(root: string, path: string): string {
  return path === '' ? root : `${root}/${encodeFilePath(path)}`
}

export function spellAddress(address: SpelledAddress): string {
  switch (address.operation) {
    case 'resolve':
    case 'raw':
      return filePath(webPath(address.repository), address.operation, address.revision, address.path)
    case 'resolve-cache':
      return `/api/resolve-cache/${address.repository.type}s/${address.repository.id}/${address.revision}/${encodeFilePath(address.path)}`
    case 'info':
      return address.revision === undefined
        ? apiPath(address.repository)
        : revisionPath(address.repository, 'revision', address.revision)
    case 'tree':
    case 'treesize':
      return spellFileBelow(revisionPath(address.repository, address.operation, address.revision), address.path)
    case 'paths-info':
    case 'commits':
    case 'xet-read-token':
      return revisionPath(address.repository, address.operation, address.revision)
    case 'refs':
    case 'auth-check':
      return `${apiPath(address.repository)}/${address.operation}`
    default:
      return spellOther(address)
  }
}

function spellOther(address: Address<Exclude<SpelledOperation, MirrorOperation>>): string {
  switch (address.operation) {
    case 'git-refs':
      return `${webPath(address.repository)}.git/info/refs`
    case 'git-upload-pack':
    case 'git-receive-pack':
      return `${webPath(address.repository)}.git/${address.operation}`
    case 'lfs-batch':
      return `${webPath(address.repository)}.git/info/lfs/objects/batch`
    case 'oci-manifest':
      return `/v2/${address.repository.id}/manifests/${encodeSegment(address.reference)}`
    case 'oci-blob':
      return `/v2/${address.repository.id}/blobs/${encodeSegment(address.digest)}`
    case 'repos-create':
    case 'repos-move':
    case 'repos-delete':
      return `/api/repos/${address.operation.slice('repos-'.length)}`
    case 'overview':
      return `/api/${address.of}/${address.namespace}/overview`
    case 'validate-yaml':
      return '/api/validate-yaml'
    case 'whoami':
      return '/api/whoami-v2'
    case 'health':
    case 'ready':
      return `/${address.operation}`
    case 'misses':
      return '/-/misses'
    case 'follow':
      return `/-/follow/${encodeSegment(address.seal)}`
    case 'lfs-object':
      return `/-/lfs/${address.repository.type}s/${address.repository.id}/${address.oid}`
  }
}

export function revisionPath(repository: NamedRepository, route: string, revision: string): string {
  return `${apiPath(repository)}/${route}/${encodeRevision(revision)}`
}

const plainRevision = /^[A-Za-z0-9._-]+$/

/** One segment, as clients send it: `refs%2Fpr%2F1`. Most need no encoding, which costs more than to see that. */
function encodeRevision(revision: string): string {
  return plainRevision.test(revision) ? revision : encodeURIComponent(revision)
}
