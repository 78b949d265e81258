import { join } from 'node:path'
import Table from 'cli-table3'
import { closeNetwork } from '../clients/network.ts'
import { StandInHub } from '../hub/index.ts'
import { startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Mode, modes, readExceptions } from './exceptions.ts'
import { mirrorAll, readingOnly } from './mirrored.ts'
import { prepareHub } from './prepare.ts'
import { passedWithRequests, type Release, runSuite, type TestOutcome } from './suite.ts'

/** What became of a release's tests against the stand-in Hub itself. */
export interface Direct {
  /** Those that passed, and made requests. */
  readonly passed: readonly string[]
  /** Those of them that only read what the Hub had from the start. */
  readonly reading: readonly string[]
  /** Every test of the release, whatever became of it. */
  readonly known: ReadonlySet<string>
  /** Those that are listed as failing at random, and do not exist. */
  readonly unknown: readonly string[]
}

/** The same tests through MirrorFace. */
export interface Comparison {
  readonly run: number
  readonly passed: number
  readonly failures: readonly TestOutcome[]
  /** Listed as exceptions, but unknown or passing. */
  readonly obsolete: readonly string[]
}

async function startHub(): Promise<StandInHub> {
  const hub = new StandInHub()
  prepareHub(hub)
  return await hub.start()
}

export async function runDirectly(release: Release): Promise<Direct> {
  const hub = await startHub()
  try {
    const outcomes = await runSuite(release, hub.url)
    const excluded = await readExceptions(release.version, 'direct')
    const known = new Set(outcomes.map(({ test }) => test))
    const passed = passedWithRequests(outcomes, hub.requests).filter((test) => !excluded.has(test))
    const untouched = new StandInHub()
    prepareHub(untouched)
    return {
      passed,
      reading: readingOnly(passed, outcomes, hub.requests, untouched),
      unknown: [...excluded].filter((test) => !known.has(test)),
      known,
    }
  } finally {
    await hub.stop()
  }
}

/** Networks opened so far; each has a subnet of its own. */
let networks = 0

/**
 * Runs the tests that passed directly through MirrorFace: in a network out of which nothing else can
 * be reached where it follows redirects, and without the Hub where it has mirrored what they read.
 */
export async function compare(release: Release, mode: Mode, direct: Direct): Promise<Comparison> {
  await using folder = await temporaryFolder()
  using network = mode === 'follow' ? closeNetwork(100 + networks++) : undefined
  const hub = await startHub()
  const storage = join(folder.path, 'storage')
  if (mode === 'mirrored') {
    await mirrorAll(hub, storage)
    await hub.stop()
  }
  const redirects = ['--redirects', mode === 'follow' ? mode : 'pass', '--follow-hosts', new URL(hub.cdnUrl).host]
  const where = ['--local-directory', storage, '--upstream-url', hub.url]
  const server = await startMirrorFace([...where, ...redirects], {}, network?.hostAddress)
  try {
    const tests = mode === 'mirrored' ? direct.reading : direct.passed
    const outcomes = await runSuite(release, `${server.url}${release.prefix}`, tests, network?.enter)
    const excepted = await readExceptions(release.version, mode)
    const failed = tests
      .map((test) => outcomes.find((outcome) => outcome.test === test) ?? notRun(test))
      .filter(({ outcome }) => outcome !== 'passed')
    const names = new Set(failed.map(({ test }) => test))
    return {
      run: tests.length,
      passed: tests.length - failed.length,
      failures: failed.filter(({ test }) => !excepted.has(test)),
      obsolete: [...excepted].filter((test) => !direct.known.has(test) || (tests.includes(test) && !names.has(test))),
    }
  } finally {
    await server.stop()
    await hub.stop()
  }
}

function notRun(test: string): TestOutcome {
  return { test, outcome: 'failed', begin: 0, end: 0, message: 'was not run' }
}

export function tableOf(
  rows: readonly { version: string; direct: Direct; through: ReadonlyMap<Mode, Comparison> }[],
): string {
  const table = new Table({ head: ['huggingface_hub', ...modes], style: { head: [], border: [] } })
  for (const { version, direct, through } of rows) {
    const cells = modes.slice(1).map((mode) => {
      const comparison = through.get(mode)
      if (comparison === undefined) return 'not run'
      return `${comparison.passed} of ${comparison.run}`
    })
    table.push([version, `${direct.passed.length} passed`, ...cells])
  }
  return table.toString()
}
