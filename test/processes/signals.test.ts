import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import pMap from 'p-map'
import { temporaryFolder } from '../support/processes.ts'
import { answers, freePort, hasHandlers, isTaken, ProcessGroup, sendSignal, until } from './process-group.ts'
import { choose, randomFrom } from './random.ts'

const rounds = Number(process.env.SIGNAL_ROUNDS ?? 200)
const seed = Number(process.env.SIGNAL_SEED ?? 20_261_125)
/** Repeats one round alone: the number that a failed one printed. */
const only = process.env.SIGNAL_ROUND === undefined ? undefined : Number(process.env.SIGNAL_ROUND)

/** Servers at a time. */
const atOnce = 3

/** Milliseconds that a server gets to end after it was told, its grace period included, on a busy machine. */
const patience = 20_000

interface Event {
  /** Milliseconds after the one before. */
  readonly after: number
  readonly signal: NodeJS.Signals
  readonly target: 'primary' | 'worker'
}

interface Round {
  readonly workers: number
  readonly events: readonly Event[]
}

/** Most rounds begin at once, so that half of the signals meet a server that is still starting. */
function makeRound(random: () => number): Round {
  const events = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index): Event => {
    const target = random() < 0.7 ? 'primary' : 'worker'
    const signals =
      target === 'primary'
        ? (['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGTERM', 'SIGINT', 'SIGKILL'] as const)
        : (['SIGKILL', 'SIGKILL', 'SIGTERM'] as const)
    const after = Math.floor(index === 0 ? random() * 1_200 : choose(random, [0, 1, 5, 20, 100, 300]) * random() * 2)
    return { after, signal: choose(random, signals), target }
  })
  return { workers: choose(random, [1, 2, 2, 3]), events }
}

async function play({ workers, events }: Round, random: () => number, directory: string): Promise<void> {
  const port = await freePort()
  await using group = new ProcessGroup([
    ...['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--offline'],
    ...['--local-directory', directory, '--workers', String(workers), '--grace-period', '1000'],
  ])
  /** How it may end. */
  const ends = new Set<string>()
  let isTold = false
  for (const { after, signal, target } of events) {
    await delay(after)
    const pid = target === 'primary' ? group.pid : choose(random, [...group.workers(), 0])
    if (pid === 0) continue
    const isReady = hasHandlers(pid)
    if (!sendSignal(pid, signal) || target === 'worker') continue
    if (signal === 'SIGKILL' || !isReady) ends.add(signal)
    if (signal === 'SIGTERM' || signal === 'SIGINT') ends.add('0')
    isTold ||= signal !== 'SIGHUP'
  }
  if (!isTold && !ends.has('SIGHUP')) {
    await until('it serves after all', () => group.child.exitCode !== null || answers(port), patience)
    expect(group.child.exitCode, 'ended though nobody told it to').to.equal(null)
  }
  if (!isTold) {
    group.child.kill('SIGTERM')
    ends.add('0')
  }
  const ended = await group.endsWithin(patience)
  expect(ended, `runs ${patience} ms after it was told to end: ${group.members()}\n${group.output}`).not.to.equal(
    undefined,
  )
  expect([...ends], group.output).to.include(String(ended?.code ?? ended?.signal))
  expect(await group.leftAfter(3_000), `processes left behind\n${group.output}`).to.deep.equal([])
  expect(await isTaken(port), 'somebody still serves').to.equal(false)
}

describe('signals at random moments (fault 37)', function () {
  this.timeout(rounds * 20_000)

  it(`end as they should: ${rounds} rounds from seed ${seed}`, async () => {
    await using folder = await temporaryFolder()
    const failures: string[] = []
    const numbers = Array.from({ length: rounds }, (_, number) => number)
    const one = async (number: number): Promise<void> => {
      const random = randomFrom(seed * 1_000 + number)
      const round = makeRound(random)
      await play(round, random, folder.path).catch((error: Error) => {
        failures.push(`SIGNAL_SEED=${seed} SIGNAL_ROUND=${number} ${JSON.stringify(round)}\n${error.message}`)
      })
    }
    // A round waits more than it works.
    await pMap(only === undefined ? numbers : [only], one, { concurrency: atOnce })
    expect(failures.join('\n\n'), `${failures.length} rounds failed`).to.equal('')
  })
})
