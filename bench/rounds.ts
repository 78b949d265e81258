import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { type Measured, measuredOf } from './measure.ts'

/** One line of the result: what was measured of whom, and beside what it stands. */
export interface Line {
  readonly section: string
  readonly contender: string
  readonly unit: string
  /** Absent: it failed. */
  readonly measured?: Measured
  /** MirrorFace's median beside this contender's; above 1 MirrorFace is better. */
  readonly ratio?: number
}

/** What a section runs with. */
export interface Bench {
  readonly rounds: number
  /** Seconds of each measurement of a rate. */
  readonly seconds: number
  readonly isQuick: boolean
  readonly lines: Line[]
  /** An empty folder for whatever a command writes. */
  readonly target: string
}

export const own = 'MirrorFace'
/** MirrorFace as another commit has it. */
export const former = 'MirrorFace before'

/** Runs the contenders in turns, so that whatever the machine does meets all alike. One that fails is told so. */
export function inTurns(
  { rounds, lines }: Bench,
  section: string,
  unit: string,
  contenders: readonly string[],
  run: (contender: string) => number,
  isBetter: 'more' | 'less',
): void {
  const values = new Map(contenders.map((name) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, measured] of values) {
      const value = run(name)
      if (value > 0) measured.push(value)
    }
  }
  const medianOf = (name: string) => measuredOf(values.get(name) ?? []).median
  for (const [contender, measured] of values) {
    if (measured.length === 0) {
      lines.push({ section, contender, unit })
      continue
    }
    const others = medianOf(contender)
    const ratio = isBetter === 'more' ? medianOf(own) / others : others / medianOf(own)
    lines.push({ section, contender, unit, measured: measuredOf(measured), ...(contender !== own && { ratio }) })
  }
  process.stderr.write(`${section} done\n`)
}

/**
 * Commands in turns, each into an empty folder; seconds. What the one before wrote is gone from the disk
 * as well: a command that syncs would otherwise wait for that, and one that does not would not.
 */
export function timedInTurns(bench: Bench, section: string, runs: Record<string, () => number>): void {
  const run = (name: string) => {
    rmSync(bench.target, { recursive: true, force: true })
    mkdirSync(bench.target)
    execFileSync('sync', ['-f', bench.target])
    return runs[name]?.() ?? 0
  }
  inTurns(bench, section, 's', Object.keys(runs), run, 'less')
}
