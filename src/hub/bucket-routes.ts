import { isFilePath } from './file-path.ts'
import { apiPath, spellFileBelow, webPath } from './format-target.ts'
import { noSuchEntry, type Route, repositoryIdAt } from './route-reading.ts'
import type { Address, NamedRepository } from './target.ts'
import { spellSegments, type TargetPath } from './target-path.ts'

const apiReads = new Set(['tree', 'paths-info', 'xet-read-token'])

/** `/api/buckets/{namespace}/{name}/…`: buckets have no revisions, and no canonical names. */
export function readBucketApi(path: TargetPath): Route | undefined {
  const id = repositoryIdAt(path, 2, 2)
  if (id === undefined) return undefined
  const repository = { type: 'bucket', id } as const
  const route = path.segments[4]?.toLowerCase() ?? ''
  const address = addressOf(repository, route)
  const isKnown = address.operation !== 'repository-other'
  const rest = isKnown && route !== '' ? `/${route}${spellSegments(path, 5)}` : spellSegments(path, 4)
  return { address, path: apiPath(repository) + rest, readings: [repository] }
}

function addressOf(repository: NamedRepository, route: string): Address {
  if (route === '' || apiReads.has(route)) return { operation: 'repository-read', repository, route }
  if (route === 'batch') return { operation: 'repository-write', repository, route }
  if (route === 'xet-write-token') return { operation: 'xet-write-token', repository }
  return { operation: 'repository-other', repository, route }
}

/** `/buckets/{namespace}/{name}/resolve/{path}`, and the Hub's pages. */
export function readBucketPage(path: TargetPath): Route | undefined {
  const id = repositoryIdAt(path, 1, 2)
  if (id === undefined) return undefined
  const repository = { type: 'bucket', id } as const
  const route = path.segments[3]?.toLowerCase() ?? ''
  if (route !== 'resolve' || path.segments.length === 4) {
    return {
      address: { operation: 'repository-other', repository, route },
      path: webPath(repository) + spellSegments(path, 3),
      readings: [repository],
    }
  }
  const file = path.segments.slice(4).join('/')
  if (path.endsInSlash || !isFilePath(file)) throw noSuchEntry(file)
  return {
    address: { operation: 'repository-read', repository, route },
    path: spellFileBelow(`${webPath(repository)}/resolve`, file),
    readings: [repository],
  }
}
