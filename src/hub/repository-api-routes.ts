import { isFilePath } from './file-path.ts'
import { apiPath, revisionPath, spellFileBelow } from './format-target.ts'
import {
  canBeMirrored,
  checkRevision,
  exact,
  loose,
  noSuchEntry,
  type Reading,
  type RouteReader,
  strict,
  takeLastRevision,
  takeRevision,
} from './route-reading.ts'
import type { NamedRepository } from './target.ts'
import { spellSegments, type TargetPath } from './target-path.ts'

/** What may follow a repository below `/api/{collection}`. What is not here is `repository-other`. */
export const apiReaders: ReadonlyMap<string, RouteReader> = new Map<string, RouteReader>([
  ['refs', bareReader('refs')],
  ['auth-check', bareReader('auth-check')],
  ['tree', folderReader('tree')],
  ['treesize', folderReader('treesize')],
  ['revision', revisionReader('revision')],
  ['paths-info', revisionReader('paths-info')],
  ['commits', revisionReader('commits')],
  ['xet-read-token', revisionReader('xet-read-token')],
  [
    'xet-write-token',
    (path, at, repository) =>
      strict({ operation: 'xet-write-token', repository }, spellRoute(path, at, repository, 'xet-write-token')),
  ],
  ...['compare', 'croissant', 'discussions', 'leaderboard', 'likers', 'parquet', 'safetensors-metadata'].map((word) =>
    looseReader(word, 'repository-read'),
  ),
  ...['branch', 'commit', 'duplicate', 'preupload', 'tag'].map((word) => looseReader(word, 'repository-write')),
  ...['settings', 'super-squash', 'user-access-request', 'secrets', 'variables', 'jobs', 'webhooks', 'logs', 'events']
    .concat('like', 'restart', 'pause', 'sleeptime', 'hardware', 'storage', 'resource-group', 'access', 'scan')
    .map((word) => looseReader(word, 'repository-other')),
  ['lfs-files', readLfsFiles],
])

function spellRoute(path: TargetPath, at: number, repository: NamedRepository, route: string): string {
  return `${apiPath(repository)}/${route}${spellSegments(path, at + 1)}`
}

function looseReader(
  route: string,
  operation: 'repository-read' | 'repository-write' | 'repository-other',
): [word: string, reader: RouteReader] {
  return [
    route,
    (path, at, repository) => loose({ operation, repository, route }, spellRoute(path, at, repository, route)),
  ]
}

/** Listing and deleting LFS files is an account's; duplicating one is a write whose body names another repository. */
function readLfsFiles(path: TargetPath, at: number, repository: NamedRepository): Reading {
  const route = path.segments[at + 1]?.toLowerCase() === 'duplicate' ? 'lfs-files/duplicate' : 'lfs-files'
  if (route === 'lfs-files/duplicate' && path.segments.length === at + 2)
    return loose({ operation: 'repository-write', repository, route }, `${apiPath(repository)}/${route}`)
  return loose(
    { operation: 'repository-other', repository, route: 'lfs-files' },
    spellRoute(path, at, repository, 'lfs-files'),
  )
}

function bareReader(operation: 'refs' | 'auth-check'): RouteReader {
  return (path, at, repository) => {
    if (path.segments.length !== at + 1) return undefined
    const spelled = `${apiPath(repository)}/${operation}`
    return canBeMirrored(repository)
      ? exact({ operation, repository }, spelled)
      : exact({ operation: 'repository-read', repository, route: operation }, spelled)
  }
}

function revisionReader(route: 'revision' | 'paths-info' | 'commits' | 'xet-read-token'): RouteReader {
  return (path, at, repository) => {
    if (path.segments.length === at + 1) return undefined
    const revision = takeLastRevision(path, at + 1)
    if (revision === undefined) return undefined
    const refusal = checkRevision(revision)
    if (refusal !== undefined) return refusal
    const spelled = revisionPath(repository, route, revision)
    if (!canBeMirrored(repository)) return exact({ operation: 'repository-read', repository, route }, spelled)
    return exact({ operation: route === 'revision' ? 'info' : route, repository, revision }, spelled)
  }
}

function folderReader(operation: 'tree' | 'treesize'): RouteReader {
  return (path, at, repository) => {
    if (path.segments.length === at + 1) return undefined
    const [revision, next] = takeRevision(path, at + 1)
    const refusal = checkRevision(revision)
    if (refusal !== undefined) return refusal
    const folder = path.segments.slice(next).join('/')
    if (folder !== '' && !isFilePath(folder)) return noSuchEntry(folder)
    const spelled = spellFileBelow(revisionPath(repository, operation, revision), folder)
    return canBeMirrored(repository)
      ? exact({ operation, repository, revision, path: folder }, spelled)
      : exact({ operation: 'repository-read', repository, route: operation }, spelled)
  }
}
