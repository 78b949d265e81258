import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { StandInHub } from '../../hub/index.ts'
import { randomFrom } from '../../processes/random.ts'
import { type Finished, runMirrorFace, spawnMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { leftIn, notGone, notWhole, type Place, wrongIn } from './stored.ts'
import type { KillStage, Revision, Round, Writer } from './writers.ts'

/** Kills for each writer; `KILL_ROUNDS=50` for a thorough search. */
export const rounds = Number(process.env.KILL_ROUNDS ?? 6)
export const seed = Number(process.env.KILL_SEED ?? 20_261_201)

/** Runs that a command may need until it ends with 0, its claims being taken for dead by those beside it. */
const mostRuns = 4

/** Files are served this slowly, so that there is something to interrupt. In milliseconds. */
const hubDelay = 25

/** Kills a writer at random moments, with a second one and a sweep of zero grace beside it, until it was killed often enough. */
export async function killAtRandom(writer: Writer, place: Place): Promise<string> {
  await using folder = await temporaryFolder()
  const hub = await new StandInHub().start()
  hub.faults = () => ({ kind: 'delay', milliseconds: hubDelay })
  const settings = { ...place.settings, MIRRORFACE_UPSTREAM_URL: hub.url }
  const stage: KillStage = {
    hub,
    place,
    // Some rounds end before the kill.
    rounds: 2 * rounds + 4,
    folder: folder.path,
    succeed: async (...args) => {
      const finished = await runMirrorFace(args, settings)
      expect(finished.code, `${args.join(' ')}\n${finished.stderr}`).to.equal(0)
    },
  }
  try {
    const next = await writer.prepare(stage)
    const random = randomFrom(seed)
    const kept = new Map<string, Revision>()
    const tally = { kills: 0, rounds: 0, claimsLost: 0 }
    /** Milliseconds that the second run took, so that kills fall within the work. */
    let usual = 1000
    for (; tally.kills < rounds && tally.rounds < stage.rounds; tally.rounds++) {
      const moment = random()
      try {
        const round = await next(tally.rounds, random)
        usual = (usual + (await play(round, stage, settings, usual * (0.25 + 0.75 * moment), tally))) / 2
        for (const revision of round.whole) kept.set(revision.id, revision)
        const stored = await place.read()
        const wrong = [...kept.values()].flatMap((revision) => notWhole(stored, revision))
        if (round.gone !== undefined) wrong.push(...notGone(stored, round.gone))
        expect(wrong).to.deep.equal([])
      } catch (error) {
        throw new Error(`KILL_SEED=${seed}, ${writer.name}, round ${tally.rounds}: ${(error as Error).message}`, {
          cause: error,
        })
      }
    }
    // Two: a sweep that ends a dead one's work finds what is left of its own with the next.
    for (let times = 0; times < 2; times++) await stage.succeed('sweep', '--yes', '--grace', '0s')
    expect(await leftIn(place), 'left after the last sweep').to.deep.equal([])
    await stage.succeed('verify')
    return `${tally.kills} kills in ${tally.rounds} rounds, ${tally.claimsLost} claims lost (KILL_SEED=${seed})`
  } finally {
    await hub.stop()
  }
}

/** Resolves to the milliseconds that the second run took. */
async function play(
  round: Round,
  stage: KillStage,
  settings: Readonly<Record<string, string>>,
  after: number,
  tally: { kills: number; claimsLost: number },
): Promise<number> {
  const { command, alsoEndsWith = [], beside, damaged } = round
  const ends = [0, 75, ...alsoEndsWith]
  const told = ({ stdout, stderr }: Finished) => `${stdout}${stderr}`
  const started = performance.now()
  const child = spawnMirrorFace(command, settings)
  child.stdout?.resume()
  child.stderr?.resume()
  const closed = once(child, 'close')
  const second = runMirrorFace(command, settings).then((finished) => ({
    finished,
    took: performance.now() - started,
  }))
  const others = [['sweep', '--yes', '--grace', '0s'], ...(beside === undefined ? [] : [beside])]
  const running = others.map(async (args) => ({ args, finished: await runMirrorFace(args, settings) }))
  await Promise.race([closed, delay(after)])
  if (child.exitCode === null && child.kill('SIGKILL')) tally.kills++
  await closed
  expect(await wrongIn(stage.place, damaged), 'after the kill').to.deep.equal([])
  const { finished, took } = await second
  expect(finished.code, `the second run: ${told(finished)}`).to.be.oneOf(ends)
  for (const { args, finished: other } of await Promise.all(running)) {
    expect(other.code, `${args.join(' ')} beside: ${told(other)}`).to.be.oneOf([0, 75])
    // What lost its claim is run again, as its message says.
    if (other.code === 75) await untilDone(args, settings, [0], tally)
  }
  await untilDone(command, settings, ends, tally)
  expect(await wrongIn(stage.place), 'after the next run').to.deep.equal([])
  return took
}

async function untilDone(
  command: readonly string[],
  settings: Readonly<Record<string, string>>,
  ends: readonly number[],
  tally: { claimsLost: number },
): Promise<void> {
  for (let times = 0; times < mostRuns; times++) {
    const { code, stderr } = await runMirrorFace(command, settings)
    if (code === 75) tally.claimsLost++
    expect(code, `${command.join(' ')}\n${stderr}`).to.be.oneOf([75, ...ends])
    // A repair that found something is run again; a removal that finds nothing is through.
    if (code === 0 || code === 2) return
  }
  expect.fail(`${command.join(' ')} has not ended well after ${mostRuns} runs`)
}
