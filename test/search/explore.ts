import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Scheduler } from 'fast-check'
import { repositoryFolder } from '../../src/hub/index.ts'
import { NotFoundByReader, runCommand } from './commands.ts'
import { commitId, Hub } from './hub.ts'
import { blobKeysOf, isEntryKey, isManifestKey, refCommit, violations, visibleManifest } from './invariants.ts'
import { type Command, repositories, type Scenario } from './scenarios.ts'
import { blobKeyOf, fillBucket } from './start-state.ts'
import { type Fate, type Process, unharmed, World } from './world.ts'

/** The code under search: `src/mirror`, or a copy of it with a rule left out. */
export type Protocol = typeof import('../../src/mirror/index.ts')

/** An interleaving that broke an invariant, with every request that led to it. */
export class Counterexample extends Error {
  readonly violation: string

  constructor(scenario: Scenario, violation: string, trace: readonly string[]) {
    super(`${scenario.name}: ${violation}\n${trace.map((line) => `    ${line}`).join('\n')}`)
    this.name = 'Counterexample'
    this.violation = violation
  }
}

/** When manifests were removed. */
class Removals {
  readonly #world: World
  #present = new Set<string>()
  readonly #removedAt = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
    this.look()
  }

  look(): void {
    const present = new Set(this.#world.bucket.keys('repositories').filter(isManifestKey))
    for (const key of this.#present) if (!present.has(key)) this.#removedAt.set(key, this.#world.step)
    this.#present = present
  }

  lastOf(key: string): number | undefined {
    return this.#removedAt.get(key)
  }
}

interface Run {
  readonly command: Command
  readonly process: Process
  /** The Hub's newest word that it has heard. */
  word: number
}

/** Runs one interleaving of a scenario; throws a {@link Counterexample}. Resolves to how many processes ended well. */
export async function explore(
  protocol: Protocol,
  scenario: Scenario,
  fates: readonly Fate[],
  scheduler: Scheduler,
): Promise<number> {
  const world = new World(scheduler)
  world.tick(0)
  fillBucket(world.bucket, scenario, new Date(world.now - 48 * 3_600_000))
  const hub = new Hub(world, scenario.commits, scenario.words)
  const destroyed = new Set((scenario.broken ?? []).map(blobKeyOf))
  const completeAt = new Map<string, number>()
  const removals = new Removals(world)
  const fail = (violation: string): never => {
    throw new Counterexample(scenario, violation, world.trace)
  }
  const check = (): void => {
    const [violation] = violations(world.bucket, destroyed)
    if (violation !== undefined) fail(violation)
    removals.look()
    for (const [key, { bytes }] of world.bucket.objects) {
      if (isManifestKey(key) && bytes.length > 0 && visibleManifest(world.bucket, key) !== undefined)
        completeAt.set(key, world.step)
    }
  }
  const runs = scenario.commands.map((command, index): Run => {
    const name = `${index} ${command.kind}`
    const run: Run = { command, process: world.process(name, fates[index] ?? unharmed), word: 0 }
    run.process.start(() =>
      runCommand(protocol, world, hub, run.process, command, (word) => {
        run.word = word
      }),
    )
    return run
  })
  await world.run(check)
  await nextTurn()
  for (const { process } of runs)
    if (process.outcome instanceof NotFoundByReader) fail(`${process.name} did not find ${process.outcome.message}`)
  for (const run of runs) assertSound(run, completeAt, hub, fail)
  assertNothingLost(world, hub, runs, fail)
  assertTakenDown(world, hub, runs, removals, fail)
  await assertEndsClean(protocol, world, hub, check, destroyed, fail)
  assertTakenDown(world, hub, runs, removals, fail)
  return runs.filter(({ process }) => process.outcome === 'done').length
}

/** Whoever ended well left a commit that was whole when it made its last change. */
function assertSound(
  { command, process, word }: Run,
  completeAt: ReadonlyMap<string, number>,
  hub: Hub,
  fail: (violation: string) => never,
): void {
  if (command.kind !== 'mirror' || process.outcome !== 'done') return
  const key = manifestKeyOf(command.repository, command.commit ?? hub.commitAt(word))
  const seen = completeAt.get(key)
  if (seen === undefined || seen < process.committedAt) fail(`${process.name} ended well, and ${key} was not there`)
}

/** Of runs that ended well, where nothing removes: every file is there, and the ref is at the newest word. */
function assertNothingLost(world: World, hub: Hub, runs: readonly Run[], fail: (violation: string) => never): void {
  if (runs.some(({ command }) => command.kind === 'remove' || command.kind === 'prune')) return
  const newest = new Map<number, number>()
  for (const { command, process, word } of runs) {
    if (process.outcome !== 'done' || (command.kind !== 'mirror' && command.kind !== 'pull')) continue
    const key = manifestKeyOf(command.repository, command.commit ?? hub.commitAt(word))
    const stored = storedPaths(world, key)
    const wanted = hub
      .filesOf(command.commit ?? hub.commitAt(word))
      .map(({ path }) => path)
      .filter((path) => path === (command.kind === 'pull' ? command.path : (command.include ?? path)))
    for (const path of wanted) if (!stored.has(path)) fail(`${process.name} ended well, and ${path} is lost`)
    if (command.kind === 'mirror' && command.commit === undefined)
      newest.set(command.repository, Math.max(word, newest.get(command.repository) ?? 0))
  }
  for (const [repository, word] of newest) {
    const at = refCommit(world.bucket, refKeyOf(repository))
    const allowed = Array.from({ length: hub.word - word + 1 }, (_, later) => commitId(hub.commitAt(word + later)))
    if (at === undefined || !allowed.includes(at)) fail(`main is at ${at}, behind word ${word} of the Hub`)
  }
}

/**
 * Of pulls beside a takedown: what was pulled for a manifest that is gone does not show in a later one,
 * and what was pulled for the later one is there.
 */
function assertTakenDown(
  world: World,
  hub: Hub,
  runs: readonly Run[],
  removals: Removals,
  fail: (violation: string) => never,
): void {
  const pulls = runs.flatMap(({ command, process, word }) =>
    command.kind === 'pull' ? [{ command, process, commit: command.commit ?? hub.commitAt(word) }] : [],
  )
  const isTakenDown = runs.some(({ command }) => command.kind === 'remove')
  for (const { command, process, commit } of isTakenDown ? pulls : []) {
    const key = manifestKeyOf(command.repository, commit)
    const removedAt = removals.lastOf(key)
    const isVisible = storedPaths(world, key).has(command.path)
    const isPulledByOthers = runs.some(
      (run) =>
        (run.command.kind === 'pull' && run.process !== process && run.command.path === command.path) ||
        run.command.kind === 'mirror',
    )
    if (removedAt === undefined) continue
    if (isVisible && process.openedAt < removedAt && !isPulledByOthers)
      fail(`${process.name} began before ${key} was removed, and ${command.path} is back`)
    if (!isVisible && process.begunAt > removedAt && process.outcome === 'done')
      fail(`${process.name} ended well after ${key} was removed, and ${command.path} is lost`)
  }
}

/** A day later a sweep must find everything that was left over. */
async function assertEndsClean(
  protocol: Protocol,
  world: World,
  hub: Hub,
  check: () => void,
  destroyed: ReadonlySet<string>,
  fail: (violation: string) => never,
): Promise<void> {
  for (let day = 0; day < 2; day++) {
    world.tick(0, 25 * 3_600_000)
    const process = world.process(`later ${day}`, unharmed)
    process.start(() => runCommand(protocol, world, hub, process, { kind: 'sweep' }, () => undefined))
    await world.run(check)
    await nextTurn()
    if (process.outcome !== 'done') fail(`a sweep a day later failed: ${String(process.outcome)}`)
  }
  const named = new Set<string>()
  for (const key of world.bucket.objects.keys()) {
    if (isEntryKey(key)) fail(`${key} is left over`)
    if (!isManifestKey(key)) continue
    const manifest = visibleManifest(world.bucket, key)
    if (manifest === undefined) fail(`${key} is left over`)
    else for (const blob of blobKeysOf(manifest)) named.add(blob)
  }
  const orphan = world.bucket.keys('blobs').find((key) => !named.has(key) && !destroyed.has(key))
  if (orphan !== undefined) fail(`${orphan} is left over`)
}

function storedPaths(world: World, manifestKey: string): Set<string> {
  const files = visibleManifest(world.bucket, manifestKey)?.files ?? []
  return new Set(files.filter(({ blob }) => blob !== null).map(({ path }) => path))
}

function folderOf(repository: number): string {
  const found = repositories[repository]
  if (found === undefined) throw new Error(`no repository ${repository}`)
  return `repositories/${repositoryFolder(found)}`
}
const manifestKeyOf = (repository: number, commit: number) => `${folderOf(repository)}/commits/${commitId(commit)}.json`
const refKeyOf = (repository: number) => `${folderOf(repository)}/refs/main.json`
