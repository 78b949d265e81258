import type { Difference, Problem, RepairOutcome, VerifyReport } from '../mirror/index.ts'
import { formatBytes } from './format.ts'

/** A report for people: a line for each problem and difference, then the verdict. */
export function printReport(
  report: VerifyReport,
  repairs: readonly RepairOutcome[] | undefined,
  differences: readonly Difference[] | undefined,
  print: (line: string) => void,
): void {
  for (const problem of report.problems) {
    const outcome = repairs?.find((repair) => repair.problem === problem)
    const healed =
      outcome === undefined ? '' : outcome.failure === undefined ? ' (healed)' : ` (not healed: ${outcome.failure})`
    print(describeProblem(problem) + healed)
  }
  for (const { kind, repository, revision, mirrored, hub } of differences ?? [])
    print(`${kind}: ${repository}@${revision}: mirrored ${mirrored}, at the Hub ${hub}`)
  const { orphans } = report
  if (orphans !== undefined && orphans.blobs > 0)
    print(`${orphans.blobs} blobs belong to no manifest (${formatBytes(orphans.bytes)}): mirrorface sweep frees them`)
  const checked = `${report.repositories} repositories, ${report.manifests} manifests, ${report.refs} refs, ${report.blobs} blobs (${formatBytes(report.bytes)})`
  print(report.problems.length === 0 ? `sound: ${checked}` : `${report.problems.length} problems in ${checked}`)
}

function describeProblem({ kind, key, repository, commit, path, expected, found }: Problem): string {
  const subject =
    repository === undefined ? undefined : `${repository}${commit === undefined ? '' : `@${commit.slice(0, 12)}`}`
  const where = [subject, path, key].filter((part) => part !== undefined).join(' ')
  const what = [
    expected === undefined ? undefined : `expected ${expected}`,
    found === undefined ? undefined : `found ${found}`,
  ]
  const said = what.filter((part) => part !== undefined).join(', ')
  return `${kind}: ${where}${said === '' ? '' : `: ${said}`}`
}
