import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type Content, StandInHub, syntheticContent } from '../../hub/index.ts'
import { answers, freePort, ProcessGroup, sendSignal, until } from '../../processes/process-group.ts'
import { choose, randomFrom } from '../../processes/random.ts'
import { runMirrorFace } from '../../support/processes.ts'
import { rounds, seed } from './play.ts'
import { leftIn, notWhole, type Place, wrongIn } from './stored.ts'
import type { Revision } from './writers.ts'

const shared = syntheticContent(300_000, 77)

function filesOf(number: number): Record<string, Content> {
  return {
    'a.safetensors': syntheticContent(900_000, 10_000 + number),
    'b.safetensors': syntheticContent(100_000, 20_000 + number),
    'same.safetensors': shared,
  }
}

/** A server of the place, as one pod of several. */
async function startPod(place: Place, hub: StandInHub, workers: number): Promise<{ group: ProcessGroup; url: string }> {
  const port = await freePort()
  const args = ['--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--workers', String(workers)]
  // The Hub's CDN is on another loopback address.
  const group = new ProcessGroup(
    [...args, '--pull-through', '--upstream-url', hub.url, '--follow-hosts', '127.0.0.2'],
    {
      ...place.settings,
      MIRRORFACE_REFRESH_AFTER: '200',
    },
  )
  await until('it serves', () => group.child.exitCode !== null || answers(port), 60_000)
  expect(group.child.exitCode, group.output).to.equal(null)
  return { group, url: `http://127.0.0.1:${port}/mirror` }
}

/** `right`, `broken` (cut, or refused), or what is wrong with it. */
async function fetched(url: string, content: Content): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) })
    const bytes = Buffer.from(await response.arrayBuffer())
    if (response.status !== 200) return response.status >= 500 ? 'broken' : `status ${response.status}`
    const found = createHash('sha256').update(bytes).digest('hex')
    return found === content.sha256 ? 'right' : `${bytes.length} other bytes`
  } catch {
    return 'broken'
  }
}

/**
 * Kills a pod of several workers while it pulls, with another pod that pulls the same files, and a sweep of zero grace,
 * beside it.
 */
export async function killPulling(place: Place): Promise<string> {
  const hub = await new StandInHub().start()
  hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 60 } : undefined)
  const random = randomFrom(seed)
  const kept: Revision[] = []
  const survivor = await startPod(place, hub, 1)
  try {
    for (let number = 0; number < rounds; number++) {
      const id = `org/p${number}`
      const files = filesOf(number)
      const commit = hub.add({ type: 'model', id }).commit(files)
      const [workers, moment] = [choose(random, [1, 2]), random() * 600]
      const victim = await startPod(place, hub, workers)
      try {
        const from = (url: string) =>
          Object.entries(files).map(([path, content]) => fetched(`${url}/${id}/resolve/main/${path}`, content))
        const ofVictim = Promise.all(from(victim.url))
        const ofSurvivor = Promise.all(from(survivor.url))
        const sweep = runMirrorFace(['sweep', '--yes', '--grace', '0s'], place.settings)
        await delay(moment)
        for (const pid of victim.group.members()) sendSignal(pid, 'SIGKILL')
        await victim.group.ended
        expect(await wrongIn(place), 'after the kill').to.deep.equal([])
        for (const outcome of await ofVictim) expect(outcome).to.be.oneOf(['right', 'broken'])
        expect(await ofSurvivor, survivor.group.output).to.deep.equal(['right', 'right', 'right'])
        expect((await sweep).code).to.be.oneOf([0, 75])
        // Whoever was killed, or lost its claim, pulls again with the next request.
        await until(
          'every file is kept',
          async () => {
            await Promise.all(from(survivor.url))
            return notWhole(await place.read(), { id, commit }).length === 0
          },
          60_000,
        )
        expect(await wrongIn(place), 'after the next pull').to.deep.equal([])
        kept.push({ id, commit })
        const stored = await place.read()
        expect(kept.flatMap((revision) => notWhole(stored, revision))).to.deep.equal([])
      } catch (error) {
        const what = `KILL_SEED=${seed}, pull-through, round ${number} (${workers} workers, ${moment} ms)`
        throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
      } finally {
        await victim.group[Symbol.asyncDispose]()
      }
    }
    survivor.group.child.kill('SIGTERM')
    await survivor.group.ended
    for (let times = 0; times < 2; times++)
      expect((await runMirrorFace(['sweep', '--yes', '--grace', '0s'], place.settings)).code).to.equal(0)
    expect(await leftIn(place), 'left after the last sweep').to.deep.equal([])
    expect((await runMirrorFace(['verify'], place.settings)).stdout).to.match(/^sound/)
    return `${rounds} kills (KILL_SEED=${seed})`
  } finally {
    await survivor.group[Symbol.asyncDispose]()
    await hub.stop()
  }
}
