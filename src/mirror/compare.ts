import { formatRepository, type HubRefs, type Repository, type RevisionListing } from '../hub/index.ts'
import type { Catalog } from './catalog.ts'

/** What the comparison asks the Hub. */
export interface HubView {
  describe(repository: Repository, revision: string, options: { signal: AbortSignal }): Promise<RevisionListing>
  /** `undefined` where the Hub has the repository and lists no refs. */
  refs(repository: Repository, options: { signal: AbortSignal }): Promise<HubRefs | undefined>
  commitOf(repository: Repository, revision: string, options: { signal: AbortSignal }): Promise<string>
}

/** A difference between what is mirrored and what the Hub has now. */
export interface Difference {
  readonly kind: 'moved' | 'gone' | 'differs'
  readonly repository: string
  /** The ref or commit that it is about. */
  readonly revision: string
  readonly mirrored: string
  readonly hub: string
}

/** Which mirrored refs the Hub has moved, or no longer has. */
export async function findOutdated(catalog: Catalog, hub: HubView, signal: AbortSignal): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const repository of catalog.repositories) {
    const name = formatRepository(repository)
    const mirrored = repository.revisions.flatMap(({ commit, refs }) => refs.map((ref) => [ref, commit] as const))
    if (mirrored.length === 0) continue
    const names = mirrored.map(([name]) => name)
    const now = await commitsNow(hub, repository, names, signal)
    for (const [ref, commit] of mirrored) {
      // Refs of pull requests are listed only to those who ask for them.
      if (ref.startsWith('refs/pr/') && !now.has(ref)) continue
      const target = now.get(ref)
      if (target === undefined)
        differences.push({ kind: 'gone', repository: name, revision: ref, mirrored: commit, hub: 'none' })
      else if (target !== commit)
        differences.push({ kind: 'moved', repository: name, revision: ref, mirrored: commit, hub: target })
    }
  }
  return differences
}

/** Ref → commit, as the Hub has it; nothing where it no longer has the repository. */
async function commitsNow(
  hub: HubView,
  repository: Repository,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const noRefs: HubRefs = { branches: [], tags: [], converts: [] }
  const refs = await hub.refs(repository, { signal }).catch((error: unknown) => absent(error) ?? noRefs)
  if (refs !== undefined) {
    const all = [...refs.branches, ...refs.tags, ...refs.converts, ...(refs.pullRequests ?? [])]
    return new Map(all.map((ref) => [ref.name, ref.targetCommit]))
  }
  const now = new Map<string, string>()
  for (const name of names) {
    const commit = await hub.commitOf(repository, name, { signal }).catch((error: unknown) => absent(error))
    if (commit !== undefined) now.set(name, commit)
  }
  return now
}

/** Whether every mirrored commit is still at the Hub, with the same files. */
export async function compareCommits(catalog: Catalog, hub: HubView, signal: AbortSignal): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const repository of catalog.repositories) {
    for (const manifest of repository.manifests) {
      const about = { repository: formatRepository(repository), revision: manifest.commit }
      const listing = await hub
        .describe(repository, manifest.commit, { signal })
        .catch((error: unknown) => absent(error))
      if (listing === undefined) {
        differences.push({ kind: 'gone', ...about, mirrored: `${manifest.files.length} files`, hub: 'none' })
        continue
      }
      const theirs = new Map(
        listing.files.map((file) => [file.path, `${file.size} bytes, ${file.lfs?.oid ?? file.oid}`]),
      )
      for (const file of manifest.files) {
        const ours = `${file.size} bytes, ${file.lfs?.sha256 ?? file.oid}`
        const found = theirs.get(file.path) ?? 'none'
        if (found !== ours)
          differences.push({
            kind: 'differs',
            ...about,
            revision: `${manifest.commit}/${file.path}`,
            mirrored: ours,
            hub: found,
          })
      }
    }
  }
  return differences
}

/** A repository or commit that the Hub does not have is a finding; that it can't be asked is a failure. */
function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && (error.code === 'RepoNotFound' || error.code === 'RevisionNotFound'))
    return undefined
  throw error
}
