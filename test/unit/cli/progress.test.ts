import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { cleanEnvironment, runMirrorFace, spawnMirrorFace, temporaryFolder } from '../../support/processes.ts'

const mebibyte = 1024 * 1024
/** Milliseconds until Ctrl-C where it is not shown, on a busy machine. */
const longest = 20_000
const bin = fileURLToPath(new URL('../../../bin/mirrorface.js', import.meta.url))

interface Shown {
  readonly done: number
  /** Bytes a second. */
  readonly speed: number
}

const units: Readonly<Record<string, number>> = { B: 1, kiB: 1024, KiB: 1024, MiB: mebibyte, GiB: 1024 * mebibyte }

function bytesOf(number: string, unit: string): number {
  return Number(number) * (units[unit] ?? Number.NaN)
}

/** What a bar on a terminal showed, in the order of its being shown. */
function readBar(output: string): Shown[] {
  const lines = output.matchAll(/\d+% \| ([\d.]+) (\w+) of [\d.]+ \w+ \| ([\d.]+) (\w+)\/s/g)
  return [...lines].map(([, done = '', doneUnit = '', speed = '', speedUnit = '']) => ({
    done: bytesOf(done, doneUnit),
    speed: bytesOf(speed, speedUnit),
  }))
}

describe('progress', () => {
  const weights = syntheticContent(12 * mebibyte, 11)
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const args = () => ['mirror', 'org/model', '--local-directory', folder.path, '--upstream-url', hub.url]

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': weights })
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const slowly = (bytesPerSecond: number) => {
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond } : undefined)
  }

  /** Runs on a terminal until it has shown what is waited for, then presses Ctrl-C. */
  async function onTerminal(isEnough: (shown: readonly Shown[]) => boolean): Promise<string> {
    // In the place of the shell: it would end by the key press as well.
    const command = ['exec', process.execPath, bin, ...args()].join(' ')
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: cleanEnvironment({ TERM: 'xterm' }),
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    const closed = once(child, 'close')
    const end = performance.now() + longest
    while (!isEnough(readBar(output)) && child.exitCode === null && performance.now() < end) await delay(50)
    child.stdin.write('\u0003')
    await closed
    return output
  }

  /** Bytes that are kept of the one file; beside it are locks. */
  const unfinished = async () => {
    const place = join(folder.path, '.unfinished')
    const sizes = (await readdir(place)).map(async (name) => (await stat(join(place, name))).size)
    return Math.max(0, ...(await Promise.all(sizes)))
  }

  it('is shown while the first part is under way, and Ctrl-C keeps what came of it', async () => {
    slowly(150_000)
    // What the first of six connections has brought is kept, in pieces.
    const isMoving = (bars: readonly Shown[]) =>
      new Set(bars.map(({ done }) => done)).size > 3 && bars.some(({ done }) => done > 2 * mebibyte)
    const shown = readBar(await onTerminal(isMoving))
    expect(Math.max(...shown.map(({ done }) => done))).to.be.within(100_000, 11 * mebibyte)
    expect(new Set(shown.map(({ done }) => done)).size).to.be.greaterThan(3)
    expect(await unfinished()).to.be.within(50_000, 4 * mebibyte)
  })

  it('tells an honest speed after a run that was interrupted', async () => {
    slowly(1_000_000)
    await onTerminal((bars) => bars.some(({ done }) => done > 3 * mebibyte))
    const kept = await unfinished()
    expect(kept).to.be.greaterThan(mebibyte / 2)
    slowly(100_000)
    const afterKept = (bars: readonly Shown[]) => bars.filter(({ done }) => done >= kept)
    const shown = afterKept(readBar(await onTerminal((bars) => afterKept(bars).length > 5)))
    expect(shown).to.not.deep.equal([])
    // Six connections of 100 kB/s, and some that were under way in the kernel.
    for (const { speed } of shown) expect(speed).to.be.lessThan(4 * mebibyte)
  }).timeout(60_000)

  it('is a line now and then where there is no terminal, whatever the number of files', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`${index}.txt`, String(index)]))
    hub.add({ type: 'model', id: 'org/many' }).commit(files)
    const directory = ['--local-directory', folder.path, '--upstream-url', hub.url]
    const finished = await runMirrorFace(['mirror', 'org/many', ...directory])
    expect(finished.stderr).to.match(/^org\/many@main is [0-9a-f]{12}: 300 files to fetch \(\d+ B\)\n$/)
    expect(finished.stdout.trim().split('\n')).to.have.length(1)
    const asJson = spawnMirrorFace(['verify', '--json', ...directory])
    let stderr = ''
    asJson.stderr?.on('data', (chunk) => (stderr += chunk))
    await once(asJson, 'close')
    expect(stderr).to.equal('')
  })
})
