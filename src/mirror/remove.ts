import { Failure, formatRepository, isCommit, type Repository, shortRevision } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { commitsPrefix, manifestKey, refKey, repositoryPrefix } from './layout.ts'
import { readRefs } from './metadata.ts'
import { writerOf } from './objects.ts'

export interface Removed {
  readonly refs: readonly string[]
  readonly commits: readonly string[]
}

/**
 * Removes a revision, or the whole repository. Refs go first, then manifests, so that no reader
 * meets a ref whose manifest is gone; the blobs stay until a sweep finds that nobody needs them.
 */
export async function removeRevision(
  storage: Storage,
  repository: Repository,
  revision: string | undefined,
  options: OperationOptions = {},
): Promise<Removed> {
  const refs = await readRefs(storage, repository, options)
  const commits = (await storage.children(commitsPrefix(repository), options)).map((name) =>
    name.replace(/\.json$/, ''),
  )
  if (commits.length === 0 && refs.size === 0)
    throw new Failure('RepoNotFound', 404, `${formatRepository(repository)} is not mirrored here`)
  if (revision === undefined) {
    const writer = writerOf(storage)
    for await (const { key } of storage.list(`${repositoryPrefix(repository)}/refs`, options))
      await writer.remove(key, options)
    for await (const { key } of storage.list(repositoryPrefix(repository), options)) await writer.remove(key, options)
    return { refs: [...refs.keys()], commits }
  }
  const name = shortRevision(revision)
  const ref = refs.get(name)
  const commit = ref?.commit ?? commits.find((candidate) => candidate === name)
  if (commit === undefined)
    throw new Failure('RevisionNotFound', 404, `${formatRepository(repository)}@${revision} is not mirrored here`)
  const gone = [...refs]
    .filter(([other, { commit: at }]) => (isCommit(name) ? at === commit : other === name))
    .map(([other]) => other)
  // A commit stays as long as another ref names it.
  const isNamed = [...refs].some(([other, { commit: at }]) => at === commit && !gone.includes(other))
  return await removeAll(storage, repository, gone, isNamed ? [] : [commit], options)
}

/** Removes every revision of a repository that no kept ref names, and that is not among `keep`. */
export async function pruneRepository(
  storage: Storage,
  repository: Repository,
  keep: ReadonlySet<string>,
  options: OperationOptions = {},
): Promise<Removed> {
  const refs = await readRefs(storage, repository, options)
  const named = new Set([...refs.values()].map(({ commit }) => commit))
  const commits = (await storage.children(commitsPrefix(repository), options)).map((name) =>
    name.replace(/\.json$/, ''),
  )
  const stale = commits.filter((commit) => !named.has(commit) && !keep.has(commit))
  return await removeAll(storage, repository, [], stale, options)
}

async function removeAll(
  storage: Storage,
  repository: Repository,
  refs: readonly string[],
  commits: readonly string[],
  options: OperationOptions,
): Promise<Removed> {
  const writer = writerOf(storage)
  for (const ref of refs) await writer.remove(refKey(repository, ref), options)
  for (const commit of commits) await writer.remove(manifestKey(repository, commit), options)
  return { refs, commits }
}
