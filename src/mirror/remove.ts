import pMap from 'p-map'
import { Failure, formatRepository, isCommit, type Repository, shortRevision } from '../hub/index.ts'
import { Conflict, type ObjectStat, type OperationOptions, type Storage } from '../plugin/index.ts'
import { changeObject, randomId } from './change-object.ts'
import { parseRepositoryKey, refKey, refsPrefix, repositoryPrefix } from './layout.ts'
import { parseRef, type StoredRef } from './manifest.ts'
import { readRefs } from './metadata.ts'
import { listObjects, writerOf } from './objects.ts'
import { isEmptyRef } from './ref-claim.ts'

export interface Removed {
  readonly refs: readonly string[]
  readonly commits: readonly string[]
}

/** What of a repository a removal takes. */
interface Targets {
  /** Refs that readers no longer find. */
  readonly refs: readonly string[]
  readonly commits: ReadonlySet<string>
}

/**
 * Removes a revision, or the whole repository, with the claims of runs that are about to write it:
 * they fail, and undo nothing. The blobs stay until a sweep finds that nobody needs them.
 *
 * 1. The manifests' generations are read, 2. then the refs, which go first, so that no reader meets
 * one whose manifest is gone; 3. the manifests go by those generations: one that a run has changed
 * since may be on a ref by now, and then it begins anew. Journals go in the same way; an entry that a
 * pull under way adds later belongs to a manifest that is gone, and means nothing.
 */
export async function removeRevision(
  storage: Storage,
  repository: Repository,
  revision: string | undefined,
  options: OperationOptions = {},
): Promise<Removed> {
  const removed = { refs: new Set<string>(), commits: new Set<string>() }
  for (;;) {
    const isFirst = removed.commits.size + removed.refs.size === 0
    const generations = await readGenerations(storage, repository, options)
    const refs = await readRefs(storage, repository, options)
    if (isFirst) assertMirrored(repository, generations, refs)
    const targets = targetsOf(repository, revision, generations, refs, isFirst ? undefined : removed.commits)
    for (const ref of targets.refs) removed.refs.add(ref)
    await clearRefs(storage, repository, targets, options)
    const isDone = await removeManifests(storage, targets.commits, generations, options)
    for (const commit of targets.commits) removed.commits.add(commit)
    if (isDone) return { refs: [...removed.refs], commits: [...removed.commits] }
  }
}

/** By commit, the generation of its manifest and of each entry of its journal, by key: the manifest first. */
async function readGenerations(
  storage: Storage,
  repository: Repository,
  options: OperationOptions,
): Promise<Map<string, Map<string, string>>> {
  const read = async ({ key, generation }: ObjectStat): Promise<void> => {
    const object = parseRepositoryKey(key)
    if (object === undefined || object.kind === 'ref') return
    const known = generation ?? (await writerOf(storage).load(key, options))?.generation
    if (known === undefined) return
    const ofCommit = generations.get(object.commit) ?? new Map<string, string>()
    generations.set(object.commit, ofCommit.set(key, known))
  }
  const generations = new Map<string, Map<string, string>>()
  const isManifest = ({ key }: ObjectStat): boolean => parseRepositoryKey(key)?.kind === 'manifest'
  const listed = await listObjects(storage, repositoryPrefix(repository), options)
  await pMap(listed.filter(isManifest), read, { concurrency: 16 })
  await pMap(
    listed.filter((one) => !isManifest(one)),
    read,
    { concurrency: 16 },
  )
  return generations
}

function assertMirrored(
  repository: Repository,
  commits: ReadonlyMap<string, unknown>,
  refs: ReadonlyMap<string, unknown>,
): void {
  if (commits.size === 0 && refs.size === 0)
    throw new Failure('RepoNotFound', 404, `${formatRepository(repository)} is not mirrored here`)
}

function targetsOf(
  repository: Repository,
  revision: string | undefined,
  commits: ReadonlyMap<string, unknown>,
  refs: ReadonlyMap<string, { readonly commit: string }>,
  former: ReadonlySet<string> | undefined,
): Targets {
  if (revision === undefined) return { refs: [...refs.keys()], commits: new Set(commits.keys()) }
  const name = shortRevision(revision)
  const commit = refs.get(name)?.commit ?? (commits.has(name) ? name : undefined)
  if (commit === undefined) {
    // Its ref is gone, and the commit was changed before it could be removed.
    if (former !== undefined) return { refs: [], commits: unnamed(former, commits, refs) }
    throw new Failure('RevisionNotFound', 404, `${formatRepository(repository)}@${revision} is not mirrored here`)
  }
  const gone = [...refs]
    .filter(([other, { commit: at }]) => (isCommit(name) ? at === commit : other === name))
    .map(([other]) => other)
  // A commit stays as long as another ref names it.
  const isNamed = [...refs].some(([other, { commit: at }]) => at === commit && !gone.includes(other))
  return { refs: gone, commits: new Set(isNamed ? [] : [commit]) }
}

function unnamed(
  former: ReadonlySet<string>,
  commits: ReadonlyMap<string, unknown>,
  refs: ReadonlyMap<string, { readonly commit: string }>,
): Set<string> {
  const named = new Set([...refs.values()].map(({ commit }) => commit))
  return new Set([...former].filter((commit) => commits.has(commit) && !named.has(commit)))
}

/** Takes the commits off the refs, and the claims of runs that are about to put them there. */
async function clearRefs(
  storage: Storage,
  repository: Repository,
  { refs, commits }: Targets,
  options: OperationOptions,
): Promise<void> {
  const run = randomId()
  const names = (await storage.children(refsPrefix(repository), options)).map((name) =>
    decodeURIComponent(name.replace(/\.json$/, '')),
  )
  for (const name of names) {
    await changeObject<StoredRef>({
      ...options,
      storage,
      run,
      key: refKey(repository, name),
      parse: parseRef,
      decide: (current) => {
        if (current === undefined) return refs.includes(name) ? 'remove' : 'keep'
        const cleared = withoutCommits(current, commits, refs.includes(name))
        if (isEmptyRef(cleared)) return 'remove'
        return JSON.stringify(cleared) === JSON.stringify(current) ? 'keep' : { write: cleared }
      },
    })
  }
}

function withoutCommits(ref: StoredRef, commits: ReadonlySet<string>, isTarget: boolean): StoredRef {
  const isGone = isTarget || (ref.commit !== null && commits.has(ref.commit))
  const claims = Object.entries(ref.claims ?? {}).filter(([, { commit }]) => !commits.has(commit))
  return {
    ...ref,
    commit: isGone ? null : ref.commit,
    claims: claims.length === 0 ? undefined : Object.fromEntries(claims),
  }
}

/** Manifests first, so that no reader meets half a journal. Resolves to whether all were still as they were read. */
async function removeManifests(
  storage: Storage,
  commits: ReadonlySet<string>,
  generations: ReadonlyMap<string, ReadonlyMap<string, string>>,
  options: OperationOptions,
): Promise<boolean> {
  let isDone = true
  const remove = async ([key, ifGeneration]: readonly [string, string]): Promise<boolean> => {
    try {
      await writerOf(storage).remove(key, { ...options, ifGeneration })
      return true
    } catch (error) {
      if (!(error instanceof Conflict)) throw error
      isDone = false
      return false
    }
  }
  for (const commit of commits) {
    const [manifest, ...entries] = generations.get(commit) ?? []
    if (manifest !== undefined && (await remove(manifest))) await pMap(entries, remove, { concurrency: 16 })
  }
  return isDone
}
