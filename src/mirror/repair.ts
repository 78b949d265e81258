import { describeError, Failure, formatRepository, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { refKey } from './layout.ts'
import { writeMarker } from './marker.ts'
import { carryOut, type MirrorProgress, planMirror, type RepositorySource } from './mirroring.ts'
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
 * Heals what verification found: takes away what is broken, then mirrors the commit again from the
 * source, which fetches just what is missing. What is not of this layout is left alone. A ref without a manifest is mirrored anew, or removed
 * where the source does not know it either.
 */
export async function repairStorage(
  storage: Storage,
  source: RepositorySource,
  problems: readonly Problem[],
  options: RepairOptions,
): Promise<RepairOutcome[]> {
  const outcomes: RepairOutcome[] = []
  const writer = writerOf(storage)
  for (const problem of problems) {
    try {
      if (isForeign(problem))
        throw new Failure(
          'Foreign',
          409,
          `${problem.key} is not of this layout: it is left to you, or to a newer version`,
        )
      if (problem.kind !== 'missing blob') await writer.remove(problem.key, options)
      const repository = repositoryOfProblem(problem)
      const revision = problem.commit ?? problem.path
      if (repository !== undefined && revision !== undefined)
        await mirrorAgain(storage, source, repository, revision, problem, options)
      else await writeMarker(storage)
      outcomes.push({ problem })
    } catch (error) {
      options.signal.throwIfAborted()
      outcomes.push({ problem, failure: describeError(error) })
    }
  }
  return outcomes
}

async function mirrorAgain(
  storage: Storage,
  source: RepositorySource,
  repository: Repository,
  revision: string,
  problem: Problem,
  options: RepairOptions,
): Promise<void> {
  const include = problem.commit !== undefined && problem.path !== undefined ? [globOf(problem.path)] : []
  const request = { repository, revision, include, exclude: [] }
  const plan = await planMirror(source, storage, request, options).catch(async (error: unknown) => {
    const isGone = error instanceof Error && 'code' in error && error.code === 'RevisionNotFound'
    // A ref that nobody knows any more is no loss once it is away.
    if (isGone && (problem.kind === 'dangling ref' || problem.kind === 'damaged ref')) {
      await writerOf(storage).remove(refKey(repository, revision), options)
      return undefined
    }
    throw new Error(`${formatRepository(repository)}@${revision}: ${describeError(error)}`, { cause: error })
  })
  if (plan === undefined) return
  if (problem.path !== undefined && plan.listing.absent?.has(problem.path) === true)
    throw new Failure('EntryNotFound', 404, `${source.origin} has no content of ${problem.path} either`)
  await carryOut(plan, source, storage, options)
}

/** A glob that matches just this path. */
function globOf(path: string): string {
  return path.replaceAll(/[\\*?[\]{}()!+@|]/g, '\\$&')
}
