import {
  type Failure,
  HubFailure,
  type Repository,
  repositoryNotFound,
  revisionNotFound,
  type Target,
} from '../../hub/index.ts'
import type { ReadableLibrary } from '../gate/readable-library.ts'

/** Without an upstream: what the Hub would say if only the mirrored repositories existed. */
export async function offlineFailure(target: Target, library: ReadableLibrary): Promise<Failure> {
  const repository = mirrorable(target)
  if (repository === undefined)
    return new HubFailure('Offline', 503, 'this mirror is offline, and serves mirrored repositories only')
  if (target.operation === 'auth-check' && (await library.has(repository)))
    return new HubFailure('Offline', 503, 'this mirror is offline and can check no access')
  const revision = 'revision' in target ? (target.revision ?? 'main') : 'main'
  if ((await library.find(repository, revision)) === undefined)
    return (await library.has(repository)) ? revisionNotFound(repository, revision) : repositoryNotFound(repository)
  switch (target.operation) {
    case 'resolve':
    case 'raw':
    case 'resolve-cache':
      return new HubFailure(
        'EntryNotFound',
        404,
        `Entry not found: ${target.path} was left out when ${repository.id} was mirrored, and this mirror is offline`,
      )
    case 'xet-read-token':
      return new HubFailure('Offline', 404, `this mirror is offline, and has no Xet transfers for ${repository.id}`)
    default:
      return new HubFailure(
        'Offline',
        404,
        `this mirror is offline, and has no ${target.operation} for ${repository.id}`,
      )
  }
}

function mirrorable(target: Target): Repository | undefined {
  if (!('repository' in target)) return undefined
  const { type, id } = target.repository
  return type === 'kernel' || type === 'bucket' ? undefined : { type, id }
}
