import { readBucketApi } from './bucket-routes.ts'
import { InvalidTarget } from './errors.ts'
import { encodeFilePath, isFilePath } from './file-path.ts'
import { apiPath } from './format-target.ts'
import { apiReaders } from './repository-api-routes.ts'
import { isCommit } from './revision.ts'
import { canBeMirrored, noSuchEntry, type Route, readRepositoryRoute, repositoryIdAt } from './route-reading.ts'
import type { Address, NamedRepository } from './target.ts'
import { spellSegments, type TargetPath } from './target-path.ts'

export const collections: ReadonlyMap<string, NamedRepository['type']> = new Map([
  ['models', 'model'],
  ['datasets', 'dataset'],
  ['spaces', 'space'],
  ['kernels', 'kernel'],
])

/** Lists that anybody may read; what lies below them is read by GET as well. */
const listings = new Set([
  'agent-harnesses',
  'collections',
  'daily_papers',
  'datasets-tags-by-type',
  'models-tags-by-type',
  'papers',
  'spaces-tags-by-type',
  'trending',
])

/** Reads a path below `/api`; `undefined`: no route that is known, and no repository. */
export function readApiRoute(path: TargetPath): Route | undefined {
  const { segments } = path
  const word = segments[1]?.toLowerCase() ?? ''
  const type = collections.get(word)
  if (type !== undefined) return readCollection(path, type, word)
  switch (word) {
    case 'resolve-cache':
      return readResolveCache(path)
    case 'buckets':
      return readBucketApi(path)
    case 'organizations':
    case 'users':
      return readOverview(path, word)
    case 'repos':
      return readRepos(path)
    case 'telemetry':
      return plain({ operation: 'telemetry' }, `/api/telemetry${spellSegments(path, 2)}`)
    case 'quicksearch':
      return plain({ operation: 'search' }, `/api/quicksearch${spellSegments(path, 2)}`)
    case 'whoami-v2':
      return segments.length === 2 ? plain({ operation: 'whoami' }, '/api/whoami-v2') : undefined
    case 'validate-yaml':
      return segments.length === 2 ? plain({ operation: 'validate-yaml' }, '/api/validate-yaml') : undefined
    default:
      if (!listings.has(word)) return undefined
      return plain({ operation: 'listing' }, `/api/${word}${spellSegments(path, 2)}`)
  }
}

function plain(address: Address, path: string): Route {
  return { address, path, readings: [] }
}

function readCollection(path: TargetPath, type: NamedRepository['type'], word: string): Route | undefined {
  const { segments } = path
  if (segments.length === 2) return plain({ operation: 'search' }, `/api/${word}`)
  if (type === 'space' && segments.length === 3 && segments[2]?.toLowerCase() === 'semantic-search')
    return plain({ operation: 'search' }, '/api/spaces/semantic-search')
  const route = readRepositoryRoute(path, 2, type, apiReaders)
  if (route !== undefined) return route
  const id = repositoryIdAt(path, 2, segments.length === 3 ? 1 : 2)
  if (id === undefined) return undefined
  const repository = { type, id }
  if (segments.length <= 4) {
    const address: Address = canBeMirrored(repository)
      ? { operation: 'info', repository }
      : { operation: 'repository-read', repository, route: '' }
    return { address, path: apiPath(repository), readings: [repository] }
  }
  return {
    address: { operation: 'repository-other', repository, route: segments[4]?.toLowerCase() ?? '' },
    path: apiPath(repository) + spellSegments(path, 4),
    readings: [repository],
  }
}

/** Where the Hub sends clients for small files: `/api/resolve-cache/{collection}/{repository}/{commit}/{path}`. */
function readResolveCache(path: TargetPath): Route | undefined {
  const { segments } = path
  const collection = segments[2]?.toLowerCase() ?? ''
  const type = collections.get(collection)
  if (type === undefined) return undefined
  const routes: Route[] = []
  let isNamed = false
  for (const length of [2, 1] as const) {
    const id = repositoryIdAt(path, 3, length)
    const commit = segments[3 + length]
    if (id === undefined || commit === undefined) continue
    isNamed = true
    if (!isCommit(commit)) continue
    const file = segments.slice(4 + length).join('/')
    if (path.endsInSlash || !isFilePath(file)) throw noSuchEntry(file)
    const repository = { type, id }
    const address: Address = canBeMirrored(repository)
      ? { operation: 'resolve-cache', repository, revision: commit, path: file }
      : { operation: 'repository-read', repository, route: 'resolve-cache' }
    const spelled = `/api/resolve-cache/${collection}/${id}/${commit}/${encodeFilePath(file)}`
    routes.push({ address, path: spelled, readings: [repository] })
  }
  const [chosen] = routes
  if (chosen !== undefined) return { ...chosen, readings: routes.flatMap(({ readings }) => readings) }
  if (isNamed) throw new InvalidTarget('RevisionNotFound', 404, 'Invalid rev id: resolve-cache takes full commits only')
  return undefined
}

function readOverview({ segments }: TargetPath, of: 'organizations' | 'users'): Route | undefined {
  const namespace = segments[2]
  if (segments.length !== 4 || namespace === undefined || segments[3]?.toLowerCase() !== 'overview') return undefined
  if (!isOverviewName.test(namespace)) return undefined
  return plain({ operation: 'overview', of, namespace }, `/api/${of}/${namespace}/overview`)
}

const isOverviewName = /^[A-Za-z0-9._-]+$/

/** The body of these names the repository. */
function readRepos({ segments }: TargetPath): Route | undefined {
  if (segments.length !== 3) return undefined
  const action = segments[2]?.toLowerCase()
  if (action !== 'create' && action !== 'move' && action !== 'delete') return undefined
  return plain({ operation: `repos-${action}` }, `/api/repos/${action}`)
}
