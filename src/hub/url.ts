import { encodeFilePath, isFilePath } from './file-path.ts'
import { collectionOf, isRepositoryId, type Repository, typeOfCollection } from './repository.ts'
import { isCommit, isRevision } from './revision.ts'

interface FileOperands {
  readonly repository: Repository
  readonly revision: string
  readonly path: string
}

interface RevisionOperands {
  readonly repository: Repository
  readonly revision: string
}

interface RepositoryOperands {
  readonly repository: Repository
}

/** What each operation of the Hub works on (hub-protocol §1, §3). */
interface Operands {
  resolve: FileOperands
  raw: FileOperands
  'resolve-cache': FileOperands
  info: RepositoryOperands & { readonly revision?: string }
  /** `path` is empty for the root. */
  tree: FileOperands
  treesize: FileOperands
  'paths-info': RevisionOperands
  commits: RevisionOperands
  'xet-read-token': RevisionOperands
  refs: RepositoryOperands
  'auth-check': RepositoryOperands
}

export type HubOperation = keyof Operands
export type HubRequestOf<Operation extends HubOperation> = Operation extends HubOperation
  ? { readonly operation: Operation } & Operands[Operation]
  : never

/** What a URL of the Hub asks for. */
export type HubRequest = HubRequestOf<HubOperation>
export type FileRequest = HubRequestOf<'resolve' | 'raw' | 'resolve-cache'>

/** A URL of the Hub that is none of {@link HubRequest}: the upstream's to answer. */
export interface OtherRequest {
  readonly operation: 'other'
}

/** A URL that no server should be asked for: it escapes its root, or cannot be decoded. */
export interface InvalidRequest {
  readonly operation: 'invalid'
  readonly reason: string
}

const other: OtherRequest = { operation: 'other' }

/** Reads a URL's path (percent-encoded, without query, without the mirror's prefix). */
export function parseHubPath(pathname: string): HubRequest | OtherRequest | InvalidRequest {
  if (!pathname.startsWith('/')) return { operation: 'invalid', reason: 'the path does not begin with "/"' }
  const segments: string[] = []
  for (const encoded of pathname.slice(1).split('/')) {
    const segment = decodeSegment(encoded)
    if (segment === undefined) return { operation: 'invalid', reason: 'the path is not valid percent-encoded UTF-8' }
    if (escapes(segment)) return { operation: 'invalid', reason: 'the path contains "..", "\\" or a control character' }
    segments.push(segment)
  }
  return segments[0] === 'api' ? parseApiPath(segments.slice(1)) : parseFilePath(segments)
}

function parseFilePath(segments: string[]): FileRequest | OtherRequest {
  const typed = segments[0] === 'datasets' || segments[0] === 'spaces'
  const type = typed ? typeOfCollection(segments[0] ?? '') : 'model'
  const rest = typed ? segments.slice(1) : segments
  // A bare name first: `resolve` and `raw` are no repository's name, so `gpt2/resolve/…` is canonical.
  for (const idLength of [1, 2]) {
    const operation = rest[idLength]
    if (operation !== 'resolve' && operation !== 'raw') continue
    const repository = repositoryFrom(type, rest.slice(0, idLength))
    if (repository === undefined) return other
    return fileRequest(operation, repository, rest.slice(idLength + 1))
  }
  return other
}

function fileRequest(
  operation: FileRequest['operation'],
  repository: Repository,
  rest: string[],
): FileRequest | OtherRequest {
  const [revision, path] = takeRevision(rest)
  if (revision === undefined || !isFilePath(path)) return other
  if (operation === 'resolve-cache' && !isCommit(revision)) return other
  return { operation, repository, revision, path }
}

function parseApiPath(segments: string[]): HubRequest | OtherRequest {
  if (segments[0] === 'resolve-cache') return parseResolveCache(segments.slice(1))
  const type = typeOfCollection(segments[0] ?? '')
  const rest = segments.slice(1)
  if (type === undefined || rest.length === 0) return other
  for (const idLength of [1, 2]) {
    const repository = repositoryFrom(type, rest.slice(0, idLength))
    if (repository === undefined || rest.length < idLength) continue
    const operation = parseRepositoryOperation(repository, rest.slice(idLength))
    if (operation !== undefined) return operation
  }
  return other
}

function parseResolveCache(segments: string[]): FileRequest | OtherRequest {
  const type = typeOfCollection(segments[0] ?? '')
  const rest = segments.slice(1)
  for (const idLength of [1, 2]) {
    const repository = repositoryFrom(type, rest.slice(0, idLength))
    if (repository === undefined || !isCommit(rest[idLength] ?? '')) continue
    return fileRequest('resolve-cache', repository, rest.slice(idLength))
  }
  return other
}

function parseRepositoryOperation(repository: Repository, rest: string[]): HubRequest | undefined {
  const [operation, ...operands] = rest
  if (operation === undefined) return { operation: 'info', repository }
  if (operation === 'refs' || operation === 'auth-check') {
    return operands.length === 0 ? { operation, repository } : undefined
  }
  const [revision, path] = takeRevision(operands)
  if (revision === undefined) return undefined
  switch (operation) {
    case 'tree':
    case 'treesize':
      return path === '' || isFilePath(path) ? { operation, repository, revision, path } : undefined
    case 'revision':
      return path === '' ? { operation: 'info', repository, revision } : undefined
    case 'paths-info':
    case 'commits':
    case 'xet-read-token':
      return path === '' ? { operation, repository, revision } : undefined
    default:
      return undefined
  }
}

/**
 * Splits a revision from the path behind it. A revision is one segment, but some clients send
 * `refs/pr/1` and `refs/convert/parquet` with their slashes bare.
 */
function takeRevision(segments: string[]): [revision: string | undefined, path: string] {
  const isBareRef =
    segments[0] === 'refs' && (segments[1] === 'pr' || segments[1] === 'convert') && segments.length >= 3
  const length = isBareRef ? 3 : 1
  const revision = segments.slice(0, length).join('/')
  const path = segments.slice(length).join('/').replace(/\/$/, '')
  return [isRevision(revision) ? revision : undefined, path]
}

function repositoryFrom(type: Repository['type'] | undefined, parts: string[]): Repository | undefined {
  const id = parts.join('/')
  return type !== undefined && isRepositoryId(id) ? { type, id } : undefined
}

function decodeSegment(encoded: string): string | undefined {
  try {
    return encoded.includes('%') ? decodeURIComponent(encoded) : encoded
  } catch {
    return undefined // decodeURIComponent throws for nothing but malformed input
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const refusedInUrls = /[\u0000-\u001f\u007f\\]/

function escapes(segment: string): boolean {
  return refusedInUrls.test(segment) || segment.split('/').includes('..')
}

/** The path of a request's URL: the inverse of {@link parseHubPath}. */
export function formatHubPath(request: HubRequest): string {
  const { repository } = request
  const collection = collectionOf(repository.type)
  const api = `/api/${collection}/${repository.id}`
  switch (request.operation) {
    case 'resolve':
    case 'raw': {
      const prefix = repository.type === 'model' ? '' : `/${collection}`
      return `${prefix}/${repository.id}/${request.operation}/${encodeURIComponent(request.revision)}/${encodeFilePath(request.path)}`
    }
    case 'resolve-cache':
      return `/api/resolve-cache/${collection}/${repository.id}/${request.revision}/${encodeFilePath(request.path)}`
    case 'info':
      return request.revision === undefined ? api : `${api}/revision/${encodeURIComponent(request.revision)}`
    case 'tree':
    case 'treesize': {
      const path = request.path === '' ? '' : `/${encodeFilePath(request.path)}`
      return `${api}/${request.operation}/${encodeURIComponent(request.revision)}${path}`
    }
    case 'paths-info':
    case 'commits':
    case 'xet-read-token':
      return `${api}/${request.operation}/${encodeURIComponent(request.revision)}`
    case 'refs':
    case 'auth-check':
      return `${api}/${request.operation}`
  }
}

/** What may follow a repository in a path that is no {@link HubRequest}: tells a canonical name from a namespace. */
const otherOperations = new Set([
  ...[
    'commit',
    'preupload',
    'branch',
    'tag',
    'settings',
    'discussions',
    'lfs-files',
    'super-squash',
    'compare',
    'blob',
  ],
  ...['tree', 'resolve', 'raw', 'commits', 'info', 'git-upload-pack', 'git-receive-pack', 'edit', 'upload', 'viewer'],
])

/** The repository that a path of whatever kind is about: uploads, git, web pages; `undefined` where it names none. */
export function repositoryOfPath(pathname: string): Repository | undefined {
  const segments = pathname
    .split('/')
    .slice(1)
    .map((segment) => decodeSegment(segment) ?? '')
  const isApi = segments[0] === 'api'
  const rest = isApi ? segments.slice(1) : segments
  const collection = typeOfCollection(rest[0] ?? '')
  if (isApi && collection === undefined) return undefined
  const names = collection === undefined ? rest : rest.slice(1)
  const [first = '', second] = names
  const isCanonical = second === undefined || first.endsWith('.git') || otherOperations.has(second)
  if (isCanonical && names.length === 1 && !first.endsWith('.git') && !isApi) return undefined // a user's page
  const id = (isCanonical ? [first] : [first, second]).join('/').replace(/\.git$/, '')
  return repositoryFrom(collection ?? 'model', id.split('/'))
}
