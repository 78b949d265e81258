import { describeError, Failure, formatRepository, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { writeMarker } from './marker.ts'
import { carryOut, type MirrorPlan, type MirrorProgress, planMirror, type RepositorySource } from './mirroring.ts'
import { writerOf } from './objects.ts'
import { isForeign, type Problem, repositoryOfProblem } from './problem.ts'

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
 * Heals what verification found: mirrors the commit again from the source, which fetches just what is
 * missing or broken. What is broken is taken away only when the source has said that it has the
 * commit; what is not of this layout is left alone. A ref without a manifest is mirrored anew, or
 * removed where the source does not know it either.
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
  const repository = repositoryOfProblem(problem)
  const revision = problem.commit ?? problem.path
  const plan =
    repository === undefined || revision === undefined
      ? undefined
      : await planAgain(storage, source, repository, revision, problem, options)
  await writerOf(storage).remove(problem.key, options)
  if (plan === undefined) await writeMarker(storage)
  else await carryOut(plan, source, storage, options)
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
  const ofFile = problem.commit !== undefined && problem.path !== undefined ? problem.path : undefined
  const request = { repository, revision, include: ofFile === undefined ? [] : [globOf(ofFile)], exclude: [] }
  const distrusted = new Set([problem.key])
  const plan = await planMirror(source, storage, request, { signal, distrusted }).catch((error: unknown) => {
    const isGone = error instanceof Error && 'code' in error && error.code === 'RevisionNotFound'
    // A ref that nobody knows any more is no loss once it is away.
    if (isGone && (problem.kind === 'dangling ref' || problem.kind === 'damaged ref')) return undefined
    throw new Error(`${formatRepository(repository)}@${revision}: ${describeError(error)}`, { cause: error })
  })
  if (ofFile !== undefined && plan?.listing.absent?.has(ofFile) === true)
    throw new Failure('EntryNotFound', 404, `${source.origin} has no content of ${ofFile} either`)
  return plan
}

/** A glob that matches just this path. */
function globOf(path: string): string {
  return path.replaceAll(/[\\*?[\]{}()!+@|]/g, '\\$&')
}
