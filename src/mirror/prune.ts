import { formatRepository, type Repository } from '../hub/index.ts'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { Judge } from './judge.ts'
import { commitsPrefix, manifestKey, parseRepositoryKey, refKey, refsPrefix } from './layout.ts'
import { Lease } from './lease.ts'
import { isDamage, type Manifest, parseManifest, parseRef } from './manifest.ts'
import { writerOf } from './objects.ts'
import { breakRefClaim } from './ref-claim.ts'
import type { Removed } from './remove.ts'

/** A commit as it was before any ref was read. */
interface Candidate {
  readonly commit: string
  readonly generation: string
  readonly manifest: Manifest
}

/**
 * Removes every revision of a repository that no ref names, that no living run is about to put on
 * one, and that is not among `keep`. The manifests are read before the refs, and removed only as
 * they were then: a run claims its ref before it changes its manifest.
 */
export async function pruneRepository(
  storage: Storage,
  repository: Repository,
  keep: ReadonlySet<string>,
  options: OperationOptions = {},
): Promise<Removed> {
  await using lease = await Lease.begin(storage, 'prune', `prune ${formatRepository(repository)}`)
  const judge = new Judge(storage, lease)
  const candidates = await readCandidates(storage, repository, options)
  const named = await namedCommits(storage, repository, judge, lease, options)
  const removed: string[] = []
  for (const { commit, generation, manifest } of candidates) {
    if (named.has(commit) || keep.has(commit) || (await isClaimed(manifest, judge, options))) continue
    try {
      await writerOf(storage).remove(manifestKey(repository, commit), { ...options, ifGeneration: generation })
      removed.push(commit)
    } catch (error) {
      if (!(error instanceof Conflict)) throw error // a run is using it: the next prune looks again
    }
  }
  return { refs: [], commits: removed }
}

async function readCandidates(
  storage: Storage,
  repository: Repository,
  options: OperationOptions,
): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for await (const { key } of storage.list(commitsPrefix(repository), options)) {
    const object = parseRepositoryKey(key)
    const found = object?.kind === 'manifest' ? await writerOf(storage).load(key, options) : undefined
    if (object?.kind !== 'manifest' || found === undefined) continue
    const manifest = parseIfSound(key, found.bytes.toString())
    if (manifest !== undefined) candidates.push({ commit: object.commit, generation: found.generation, manifest })
  }
  return candidates
}

/** A damaged manifest is `verify`'s to report, and not ours to remove. */
function parseIfSound(key: string, text: string): Manifest | undefined {
  try {
    return parseManifest(key, text)
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}

async function isClaimed({ claims }: Manifest, judge: Judge, options: OperationOptions): Promise<boolean> {
  for (const { lease } of Object.values(claims ?? {})) if (!(await judge.isDead(lease, options))) return true
  return false
}

/** Commits that refs name, or are about to. Claims of dead runs are taken out first. */
async function namedCommits(
  storage: Storage,
  repository: Repository,
  judge: Judge,
  lease: Lease,
  options: OperationOptions,
): Promise<Set<string>> {
  const named = new Set<string>()
  for (const child of await storage.children(refsPrefix(repository), options)) {
    const key = refKey(repository, decodeURIComponent(child.replace(/\.json$/, '')))
    const found = await writerOf(storage).load(key, options)
    if (found === undefined) continue
    const ref = parseRef(key, found.bytes.toString())
    if (ref.commit !== null) named.add(ref.commit)
    for (const [run, { lease: id, commit }] of Object.entries(ref.claims ?? {})) {
      const isBroken = (await judge.isDead(id, options)) && (await breakRefClaim(storage, key, run, lease.id, options))
      if (!isBroken) named.add(commit)
    }
  }
  return named
}
