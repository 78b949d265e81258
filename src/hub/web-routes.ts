import { isFilePath } from './file-path.ts'
import { filePath, spellAddress, webPath } from './format-target.ts'
import {
  canBeMirrored,
  checkRevision,
  exact,
  loose,
  noSuchEntry,
  type Reading,
  type Route,
  type RouteReader,
  readRepositoryRoute,
  repositoryIdAt,
  strict,
  takeRevision,
} from './route-reading.ts'
import type { NamedRepository } from './target.ts'
import { malformed, spellSegments, type TargetPath } from './target-path.ts'

/** Routes outside `/api` that name a repository: files, git, LFS, and the Hub's pages. */
const readers = new Map<string, RouteReader>([
  ['resolve', fileReader('resolve')],
  ['raw', fileReader('raw')],
  ['info', readInfo],
  ['git-upload-pack', gitReader('git-upload-pack')],
  ['git-receive-pack', gitReader('git-receive-pack')],
  ...['blob', 'blame', 'commit', 'commits', 'discussions', 'tree'].map((word) => pageReader(word, 'repository-read')),
  // Pages named so that a canonical repository is told from a namespace.
  ...['compare', 'delete', 'edit', 'lfs-files', 'new', 'settings', 'upload', 'viewer'].map((word) =>
    pageReader(word, 'repository-other'),
  ),
])

/** Reads a path of a repository of `type`, whose id begins at `from`; `undefined`: no repository can be told. */
export function readWebRoute(
  path: TargetPath,
  from: 0 | 1,
  type: NamedRepository['type'],
  query: string,
): Route | undefined {
  const route = readRepositoryRoute(path, from, type, readers, query)
  if (route !== undefined) return route
  const { segments } = path
  const id = repositoryIdAt(path, from, 2)
  if (id !== undefined) return readPage(path, from + 2, { type, id })
  const canonical = repositoryIdAt(path, from, 1)
  if (canonical === undefined) return undefined
  // `/gpt2` may be a user's page; a type in front or `.git` behind tells that it is a repository.
  const isRepository = segments[from] !== canonical || (from === 1 && segments.length === 2)
  return isRepository ? readPage(path, from + 1, { type, id: canonical }) : undefined
}

function readPage(path: TargetPath, at: number, repository: NamedRepository): Route {
  const isGit = path.segments[at - 1]?.toLowerCase().endsWith('.git') === true
  return {
    address: { operation: 'repository-other', repository, route: path.segments[at]?.toLowerCase() ?? '' },
    path: webPath(repository) + (isGit ? '.git' : '') + spellSegments(path, at),
    readings: [repository],
  }
}

function fileReader(route: 'resolve' | 'raw'): RouteReader {
  return (path, at, repository) => {
    if (path.segments.length === at + 1) return undefined
    const [revision, next] = takeRevision(path, at + 1)
    const refusal = checkRevision(revision)
    if (refusal !== undefined) return refusal
    const file = path.segments.slice(next).join('/')
    // The Hub has no folders to resolve: a slash behind a file is another name.
    if (path.endsInSlash || !isFilePath(file)) return noSuchEntry(file)
    const spelled = filePath(webPath(repository), route, revision, file)
    if (!canBeMirrored(repository)) return exact({ operation: 'repository-read', repository, route }, spelled)
    return exact({ operation: route, repository, revision, path: file }, spelled)
  }
}

function pageReader(
  route: string,
  operation: 'repository-read' | 'repository-other',
): [word: string, reader: RouteReader] {
  return [
    route,
    (path, at, repository) => {
      if (operation === 'repository-read' && path.segments.length === at + 1) return undefined
      const spelled = `${webPath(repository)}/${route}${spellSegments(path, at + 1)}`
      return loose({ operation, repository, route }, spelled)
    },
  ]
}

function gitReader(operation: 'git-upload-pack' | 'git-receive-pack'): RouteReader {
  return (path, at, repository) => {
    if (path.segments.length !== at + 1) return undefined
    const address = { operation, repository }
    return exact(address, spellAddress(address))
  }
}

/** `info/refs` is git's, `info/lfs/…` that of git-lfs. */
function readInfo(path: TargetPath, at: number, repository: NamedRepository, query: string): Reading | undefined {
  const word = path.segments[at + 1]?.toLowerCase()
  if (word === 'lfs') return readLfs(path, at + 2, repository)
  if (word !== 'refs' || path.segments.length !== at + 2) return undefined
  const services = new URLSearchParams(query).getAll('service')
  if (services.length > 1) throw malformed('it names several services of git')
  const [service] = services
  if (service !== 'git-upload-pack' && service !== 'git-receive-pack')
    return loose({ operation: 'repository-other', repository, route: 'info' }, `${webPath(repository)}.git/info/refs`)
  const address = { operation: 'git-refs', repository, service } as const
  return service === 'git-receive-pack' ? strict(address, spellAddress(address)) : exact(address, spellAddress(address))
}

const lfsRoutes = new Set(['objects/verify', 'locks', 'locks/verify'])

function readLfs(path: TargetPath, at: number, repository: NamedRepository): Reading {
  const route = path.segments.slice(at).join('/').toLowerCase()
  const root = `${webPath(repository)}.git/info/lfs`
  if (route === 'objects/batch') return exact({ operation: 'lfs-batch', repository }, `${root}/${route}`)
  const rest = lfsRoutes.has(route) ? `/${route}` : spellSegments(path, at)
  return exact({ operation: 'lfs', repository, route }, root + rest)
}
