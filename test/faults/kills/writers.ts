import { expect } from 'chai'
import { type Content, type StandInHub, syntheticContent } from '../../hub/index.ts'
import { choose } from '../../processes/random.ts'
import { runMirrorFace } from '../../support/processes.ts'
import type { Place } from './stored.ts'

/** One round: a command to kill, what runs beside it, and how it ends well. */
export interface Round {
  /** Both the command that is killed and the second run beside it. */
  readonly command: readonly string[]
  /** Exit codes that the second run may have; 0 and 75 in any case. */
  readonly alsoEndsWith?: readonly number[]
  /** Another command beside them, which must succeed. */
  readonly beside?: readonly string[]
  /** Keys of blobs that were destroyed on purpose. */
  readonly damaged?: ReadonlySet<string>
  /** Revisions that are whole from the end of the round on, until another round removes them. */
  readonly whole: readonly Revision[]
  /** A revision that is gone at its end. */
  readonly gone?: Revision
}

export interface Revision {
  readonly id: string
  readonly commit: string
}

export interface Writer {
  readonly name: string
  /** Made once for all rounds. */
  prepare(stage: KillStage): Promise<(number: number, random: () => number) => Promise<Round>>
}

export interface KillStage {
  readonly hub: StandInHub
  readonly place: Place
  /** Rounds that there may be. */
  readonly rounds: number
  /** An empty folder. */
  readonly folder: string
  /** Runs a command on the place to its end, and demands that it succeeds. */
  succeed(...args: string[]): Promise<void>
}

const shared = [0, 1, 2].map((index) => syntheticContent(300_000, 900 + index))

/** Files of repository N: some of its own, some that others have as well. */
function filesOf(number: number, version = 0): Record<string, string | Content> {
  return {
    'config.json': `{"number": ${number}, "version": ${version}}`,
    'same.txt': 'the same everywhere',
    'shared.safetensors': shared[number % shared.length] ?? '',
    'a.safetensors': syntheticContent(400_000, 1000 + number * 10 + version),
    'b.safetensors': syntheticContent(200_000, 5000 + number * 10 + version),
  }
}

const idOf = (number: number): string => `org/m${number}`
const otherOf = (number: number): string => `org/other${number}`

/** A repository that shares content with that of a round. */
function addOther(hub: StandInHub, number: number): Revision {
  const id = otherOf(number)
  const files = { 'shared.safetensors': shared[number % shared.length] ?? '', 'same.txt': 'the same everywhere' }
  return { id, commit: hub.add({ type: 'model', id }).commit(files) }
}

function addRepository(hub: StandInHub, number: number): Revision {
  const id = idOf(number)
  return { id, commit: hub.add({ type: 'model', id }).commit(filesOf(number)) }
}

function addRepositories(hub: StandInHub, count: number): Revision[] {
  return Array.from({ length: count }, (_, number) => addRepository(hub, number))
}

const mirror: Writer = {
  name: 'mirror',
  prepare: async ({ hub }) => {
    return async (number) => {
      const revision = addRepository(hub, number)
      return { command: ['mirror', revision.id], whole: [revision] }
    }
  },
}

const mirrorFromSource: Writer = {
  name: 'mirror --source',
  prepare: async ({ hub, rounds, folder }) => {
    const revisions = addRepositories(hub, rounds)
    const ids = revisions.map(({ id }) => id)
    const copied = await runMirrorFace(['mirror', ...ids, '--local-directory', folder, '--upstream-url', hub.url])
    expect(copied.code, copied.stderr).to.equal(0)
    return async (number) => {
      const revision = itemAt(revisions, number)
      return { command: ['mirror', revision.id, '--source', folder], whole: [revision] }
    }
  },
}

const remove: Writer = {
  name: 'remove, mirror --prune',
  prepare: async ({ hub, rounds, succeed }) => {
    const former = addRepositories(hub, rounds)
    await succeed('mirror', ...former.map(({ id }) => id))
    return async (number) => {
      const gone = itemAt(former, number)
      const other = addOther(hub, number)
      const beside = ['mirror', other.id]
      if (number % 2 === 0) {
        return { command: ['remove', gone.id], alsoEndsWith: [2], beside, whole: [other], gone }
      }
      const commit = hub.find('models', gone.id)?.commit(filesOf(number, 1)) ?? ''
      const command = ['mirror', gone.id, '--prune']
      return { command, beside, whole: [other, { id: gone.id, commit }], gone }
    }
  },
}

const sweep: Writer = {
  name: 'sweep',
  prepare: async ({ hub, rounds, succeed }) => {
    const former = addRepositories(hub, rounds)
    await succeed('mirror', ...former.map(({ id }) => id))
    return async (number) => {
      const gone = itemAt(former, number)
      await succeed('remove', gone.id)
      const other = addOther(hub, number)
      return { command: ['sweep', '--yes', '--grace', '0s'], beside: ['mirror', other.id], whole: [other], gone }
    }
  },
}

const repair: Writer = {
  name: 'verify --repair',
  prepare: async ({ hub, place, succeed }) => {
    const whole = addRepositories(hub, 3)
    await succeed('mirror', ...whole.map(({ id }) => id))
    return async (_, random) => {
      const bucket = await place.read()
      const damaged = new Set<string>()
      const blobs = bucket.keys('blobs')
      while (damaged.size < 4) damaged.add(choose(random, blobs))
      for (const key of damaged) {
        const bytes = bucket.objects.get(key)?.bytes ?? Buffer.alloc(0)
        const flipped = Buffer.from(bytes)
        flipped[0] = (flipped[0] ?? 0) ^ 1
        const damage = choose(random, ['removed', 'cut', 'flipped'] as const)
        await place.damage(key, { removed: undefined, cut: bytes.subarray(1), flipped }[damage])
      }
      return { command: ['verify', '--repair'], alsoEndsWith: [1], damaged, whole }
    }
  },
}

function itemAt(revisions: readonly Revision[], number: number): Revision {
  const found = revisions[number]
  if (found === undefined) throw new RangeError(`there is no repository ${number}`)
  return found
}

/** Every command that changes a storage. */
export const writers: readonly Writer[] = [mirror, mirrorFromSource, remove, sweep, repair]
