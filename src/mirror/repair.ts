import { describeError, Failure, formatRepository, type Repository, type RevisionListing } from '../hub/index.ts'
import { ContentMismatch, type OperationOptions, type Storage } from '../plugin/index.ts'
import { carryOut } from './carry-out.ts'
import { layoutVersion, parseBlobKey, sha256OfName } from './layout.ts'
import { type MirrorPlan, type MirrorProgress, planMirror, type RepositorySource } from './mirroring.ts'
import { writeJson, writerOf } from './objects.ts'
import { isForeign, type Problem, repositoryOfProblem } from './problem.ts'
import { storeFile } from './store-file.ts'

export interface RepairOutcome {
  readonly problem: Problem
  /** Why it could not be healed; absent where it was. */
  readonly failure?: string
}

export interface RepairOptions extends OperationOptions {
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly progress: MirrorProgress
}

/**
 * Heals what verification found. A blob that is missing or broken is fetched again and written over
 * the broken one, so that it is never missing for being repaired; a damaged manifest or ref is
 * mirrored anew; a damaged journal entry is removed. What is not of this layout is left alone. A ref that the source does not know
 * either is removed.
 */
export async function repairStorage(
  storage: Storage,
  source: RepositorySource,
  problems: readonly Problem[],
  options: RepairOptions,
): Promise<RepairOutcome[]> {
  const outcomes: RepairOutcome[] = []
  for (const problem of problems) {
    try {
      await repair(storage, source, problem, options)
      outcomes.push({ problem })
    } catch (error) {
      options.signal.throwIfAborted()
      outcomes.push({ problem, failure: describeError(error) })
    }
  }
  return outcomes
}

async function repair(
  storage: Storage,
  source: RepositorySource,
  problem: Problem,
  options: RepairOptions,
): Promise<void> {
  if (isForeign(problem)) {
    const reason = `${problem.key} is not of this layout: it is left to you, or to a newer version`
    throw new Failure('Foreign', 409, reason)
  }
  if (problem.kind === 'damaged journal entry') return await removeDamaged(storage, problem.key, options)
  const repository = repositoryOfProblem(problem)
  const { commit, path } = problem
  if (repository !== undefined && commit !== undefined && path !== undefined)
    return await replaceBlob(storage, source, problem, { repository, commit, path }, options)
  const revision = commit ?? path
  if (repository === undefined || revision === undefined) return await replaceMarker(storage, problem.key)
  const found = await writerOf(storage).load(problem.key, options)
  const plan = await planAgain(storage, source, repository, revision, problem, options)
  if (plan !== undefined) await carryOut(plan, source, storage, options)
  else if (found !== undefined) await writerOf(storage).remove(problem.key, { ifGeneration: found.generation })
}

/** What the entry was for is pulled again when it is asked for. */
async function removeDamaged(storage: Storage, key: string, options: OperationOptions): Promise<void> {
  const writer = writerOf(storage)
  const found = await writer.load(key, options)
  if (found !== undefined) await writer.remove(key, { ...options, ifGeneration: found.generation })
}

/** Writes proven bytes over a broken object. However late they come, they are right. */
async function replaceBlob(
  storage: Storage,
  source: RepositorySource,
  { key }: Problem,
  { repository, commit, path }: { readonly repository: Repository; readonly commit: string; readonly path: string },
  { signal, progress }: RepairOptions,
): Promise<void> {
  const listing = await describeAgain(source, repository, commit, signal)
  const file = listing.files.find((one) => one.path === path)
  if (file === undefined || listing.absent?.has(path) === true)
    throw new Failure('EntryNotFound', 404, `${source.origin} has no content of ${path} either`)
  const name = parseBlobKey(key) ?? ''
  progress.fileStarted(file)
  const nameFor = (sha256: string): string => {
    if (sha256 === sha256OfName(name)) return name
    throw new ContentMismatch(path, `SHA-256 ${sha256OfName(name)}`, sha256)
  }
  const content = source.open(repository, commit, file, { signal })
  await storeFile(storage, file, content, { signal, nameFor, overwrite: true })
  progress.fileFinished(file)
}

async function replaceMarker(storage: Storage, key: string): Promise<void> {
  const writer = writerOf(storage)
  const found = await writer.load(key)
  const condition = found === undefined ? { ifAbsent: true as const } : { ifGeneration: found.generation }
  await writeJson(writer, key, { layout: layoutVersion }, condition)
}

async function describeAgain(
  source: RepositorySource,
  repository: Repository,
  revision: string,
  signal: AbortSignal,
): Promise<RevisionListing> {
  return await source.describe(repository, revision, { signal }).catch((error: unknown) => {
    throw new Error(`${formatRepository(repository)}@${revision}: ${describeError(error)}`, { cause: error })
  })
}

/** What it takes to mirror a revision again; `undefined` where it is of a ref that nobody knows any more. */
async function planAgain(
  storage: Storage,
  source: RepositorySource,
  repository: Repository,
  revision: string,
  problem: Problem,
  { signal }: RepairOptions,
): Promise<MirrorPlan | undefined> {
  const request = { repository, revision, include: [], exclude: [] }
  return await planMirror(source, storage, request, { signal }).catch((error: unknown) => {
    const isGone = error instanceof Error && 'code' in error && error.code === 'RevisionNotFound'
    // A ref that nobody knows any more is no loss once it is away.
    if (isGone && (problem.kind === 'dangling ref' || problem.kind === 'damaged ref')) return undefined
    throw new Error(`${formatRepository(repository)}@${revision}: ${describeError(error)}`, { cause: error })
  })
}
