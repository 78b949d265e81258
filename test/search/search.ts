import fc from 'fast-check'
import { isQuick } from '../support/runs.ts'
import { Counterexample, explore, type Protocol } from './explore.ts'
import { fatesOf } from './fates.ts'
import type { Scenario } from './scenarios.ts'

export const seed = Number(process.env.SEARCH_SEED ?? 20_261_125)
/** Interleavings of each scenario. */
export const runs = Number(process.env.SEARCH_RUNS ?? (isQuick ? 8 : 300))

export interface Found {
  /** Interleavings until it was found. */
  readonly after: number
  readonly violation: string
  /** How to see it again, and every request that led to it. */
  readonly report: string
}

export interface Outcome {
  readonly found: Found | undefined
  /** The share of processes that ended well: a search of nothing but crashes would prove little. */
  readonly endedWell: number
}

/** Looks for an interleaving that breaks an invariant. */
export async function search(protocol: Protocol, scenario: Scenario, limit: number): Promise<Outcome> {
  let processes = 0
  let well = 0
  const interleaving = fc.asyncProperty(fc.scheduler(), fatesOf(scenario), async (scheduler, fates) => {
    processes += scenario.commands.length
    well += await explore(protocol, scenario, fates, scheduler)
  })
  // Shrinking would take longer than it helps: the trace is short, and the scheduler is no simpler for it.
  const outcome = await fc.check(interleaving, { seed, numRuns: limit, endOnFailure: true })
  const endedWell = well / processes
  if (!outcome.failed) return { found: undefined, endedWell }
  const error = outcome.errorInstance
  if (!(error instanceof Counterexample)) throw error
  const report = `seed ${outcome.seed}, path ${outcome.counterexamplePath ?? ''}\n${error.message}`
  return { found: { after: outcome.numRuns, violation: error.violation, report }, endedWell }
}
