import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { runMirrorFace, spawnMirrorFace, temporaryFolder } from '../support/processes.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { startSilentServer } from '../support/silent-server.ts'

const seed = Number(process.env.SEED ?? 37)
const rounds = Number(process.env.ROUNDS ?? 2)
/** Milliseconds from the signal to the end of the process, on a machine that has nothing else to do. */
const idleLimit = 1000
/** Milliseconds that a command takes to start on such a machine. */
const idleStart = 400
/** How many times longer everything takes here and now. */
let slowness = 1
const scaled = (milliseconds: number) => milliseconds * slowness
/** Bytes that no machine hashes within the test. The files are sparse. */
const huge = 64 * 1024 ** 3

/** Milliseconds in which Node itself starts, even on a busy machine: until then a signal ends it, and nothing is begun. */
const startUp = 500

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Milliseconds since the last signal. */
  readonly took: number
}

/** Sends a signal after `after` milliseconds, and another `again` milliseconds later. */
async function interrupt(
  args: readonly string[],
  signal: 'SIGINT' | 'SIGTERM',
  after: number,
  again?: number,
): Promise<Ended> {
  const child = spawnMirrorFace(args)
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  const closed = once(child, 'close')
  await Promise.race([delay(scaled(after)), closed])
  child.kill(signal)
  if (again !== undefined) {
    await delay(again)
    child.kill(signal)
  }
  const started = performance.now()
  const survivor = setTimeout(() => child.kill('SIGKILL'), scaled(5 * idleLimit))
  const [code, by] = (await closed) as [number | null, NodeJS.Signals | null]
  clearTimeout(survivor)
  return { code, signal: by, stdout, stderr, took: performance.now() - started }
}

describe('Ctrl-C', () => {
  const weights = syntheticContent(3 * 1024 * 1024, 9)
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let silent: Awaited<ReturnType<typeof startSilentServer>>
  const random = seededRandom(seed)

  before(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    silent = await startSilentServer()
    for (const name of ['one', 'two', 'three'])
      hub.add({ type: 'model', id: `org/${name}` }).commit({ 'a.json': name, 'b.txt': name, 'w.safetensors': weights })
    const mirrored = await runMirrorFace(['mirror', 'org/one', '--local-directory', path('mirrored'), ...ofHub()])
    expect(mirrored.code, mirrored.stderr).to.equal(0)
    await makeHugeBlob()
    execFileSync('mkfifo', [path('fifo')])
  })
  beforeEach(async () => {
    const started = performance.now()
    await runMirrorFace(['--version'])
    slowness = Math.max(1, (performance.now() - started) / idleStart)
  })
  after(async () => {
    await hub.stop()
    await silent[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const path = (name: string) => join(folder.path, name)
  const ofHub = () => ['--upstream-url', hub.url]
  const hanging = () => ['--upstream-url', silent.url]
  const mirrored = () => ['--local-directory', path('mirrored')]
  const bucket = () => ['--gcs-bucket', 'models', '--gcs-endpoint', silent.url]

  /** A mirrored repository whose blob takes a minute to hash. */
  async function makeHugeBlob(): Promise<void> {
    const made = await runMirrorFace(['mirror', 'org/one', '--local-directory', path('huge'), ...ofHub()])
    expect(made.code, made.stderr).to.equal(0)
    const blob = join(path('huge'), 'blobs/sha256', weights.sha256.slice(0, 2), weights.sha256)
    await truncate(blob, huge)
    const commits = join(path('huge'), 'repositories/models--org--one/commits')
    const manifest = join(commits, (await readdir(commits))[0] ?? '')
    const text = await readFile(manifest, 'utf8')
    await writeFile(manifest, text.replaceAll(`"size": ${weights.size}`, `"size": ${huge}`))
  }

  /** Every command, doing what may take long. */
  const scenes: Record<string, () => string[]> = {
    'mirror, from a slow Hub': () => [
      'mirror',
      'org/one',
      'org/two',
      'org/three',
      '--local-directory',
      path('slow'),
      ...ofHub(),
    ],
    'mirror, from a Hub that hangs': () => ['mirror', 'org/one', '--local-directory', path('none'), ...hanging()],
    'mirror, into a bucket that hangs': () => ['mirror', 'org/one', ...bucket(), ...ofHub()],
    'mirror, from a bucket that hangs': () => [
      'mirror',
      'org/one',
      '--source',
      'gs://models',
      '--gcs-endpoint',
      silent.url,
      '--local-directory',
      path('none'),
    ],
    'mirror --from-misses, of a server that hangs': () => [
      'mirror',
      '--from-misses',
      silent.url,
      ...mirrored(),
      ...ofHub(),
    ],
    'list, of a bucket that hangs': () => ['list', ...bucket()],
    'list --outdated, of a Hub that hangs': () => ['list', '--outdated', ...mirrored(), ...hanging()],
    'verify, of a large blob': () => ['verify', '--local-directory', path('huge')],
    'verify, of a bucket that hangs': () => ['verify', ...bucket()],
    'verify --against-hub, of a Hub that hangs': () => ['verify', '--against-hub', ...mirrored(), ...hanging()],
    'remove, from a bucket that hangs': () => ['remove', 'org/one', ...bucket()],
    'sweep, of a bucket that hangs': () => ['sweep', '--yes', ...bucket()],
    'doctor, of a Hub that hangs': () => ['doctor', ...mirrored(), ...hanging()],
    'doctor, of a bucket that hangs': () => ['doctor', ...bucket(), ...ofHub()],
    'misses, of a server that hangs': () => ['misses', '--server', silent.url],
    'config, from a file that hangs': () => ['config', '--config', path('fifo')],
    'list, with a thread that hangs in the kernel': () => ['list', '--config', path('fifo')],
  }

  for (const [scene, args] of Object.entries(scenes)) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      it(`ends \`mirrorface ${scene}\` within a second of ${signal}, with 3 and one document (fault 37)`, async () => {
        hub.faults = ({ server }) =>
          server === 'cdn' ? { kind: 'slow', bytesPerSecond: 50_000 } : { kind: 'delay', milliseconds: 100 }
        for (let round = 0; round < rounds; round++) {
          // The first is in the middle of the work, for sure; the others anywhere.
          const after = Math.round(round === 0 ? 1200 : random() * 1500)
          const asJson = round % 2 === 0
          const words = [...args(), ...(asJson ? ['--json'] : [])]
          let ended = await interrupt(words, signal, after)
          // A burst of other work is not the command's fault; what hangs does so every time.
          for (let again = 0; again < 2 && ended.took > scaled(idleLimit); again++)
            ended = await interrupt(words, signal, after)
          const told = `seed ${seed}, ${signal} after ${after} ms: ${JSON.stringify(ended)}`
          if (after < startUp && ended.signal === signal) {
            expect(ended.stdout + ended.stderr, told).to.equal('')
            continue
          }
          expect(ended.took, told).to.be.lessThan(scaled(idleLimit))
          expect(ended.code, told).to.equal(3)
          expect(ended.stderr.match(/^mirrorface: interrupted by SIG\w+: .+$/gm), told).to.have.length(1)
          if (!asJson) continue
          const document = JSON.parse(ended.stdout)
          const reported = Array.isArray(document) ? document : [document]
          expect(
            reported.map(({ error }) => error?.code),
            told,
          ).to.include('Interrupted')
        }
      })
    }
  }

  it('keeps what was mirrored, and says how far it came', async () => {
    hub.faults = () => undefined
    const directory = ['--local-directory', path('kept'), ...ofHub()]
    hub.faults = ({ server, url }) =>
      server === 'cdn' || url.includes('/org/two/') ? { kind: 'slow', bytesPerSecond: 400_000 } : undefined
    const ended = await interrupt(['mirror', 'org/two', 'org/three', '--json', ...directory], 'SIGINT', 1500)
    expect(ended.stderr).to.match(
      /interrupted by SIGINT: 0 of 2 revisions are mirrored, 2 of 3 files \(\d.* of 3 MiB\) of org\/two@main are kept; run it again to go on from here/,
    )
    const [two, three] = JSON.parse(ended.stdout)
    expect(two.error.code).to.equal('Interrupted')
    expect(three.error.code).to.equal('NotAttempted')
    hub.faults = () => undefined
    hub.requests.length = 0
    const again = await runMirrorFace(['mirror', 'org/two', 'org/three', ...directory])
    expect(again.code, again.stderr).to.equal(0)
    const ranges = hub.requestsOf('cdn').map(({ headers }) => headers.range)
    expect(ranges[0], 'the rest only').to.match(/^bytes=[1-9]/)
    expect((await runMirrorFace(['verify', '--local-directory', path('kept')])).code).to.equal(0)
  })

  it('ends a run that hashes a large unfinished part', async () => {
    const read = () => weights.read(0, 99_999)
    const content = { size: huge, oid: 'a'.repeat(40), sha256: 'a'.repeat(64), read }
    hub.add({ type: 'model', id: 'org/huge' }).commit({ 'w.safetensors': content })
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'silence' } : undefined)
    const args = ['mirror', 'org/huge', '--local-directory', path('resumed'), ...ofHub()]
    expect((await interrupt(args, 'SIGINT', 1500)).code).to.equal(3)
    const [part = ''] = await readdir(path('resumed/.unfinished'))
    await truncate(path(`resumed/.unfinished/${part}`), huge - 1)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const ended = await interrupt(args, signal, 1500)
      expect(ended.code, ended.stderr).to.equal(3)
      expect(ended.took).to.be.lessThan(scaled(idleLimit))
    }
  })

  it('ends at once when pressed again', async () => {
    for (const pause of [150, 300]) {
      const ended = await interrupt(['list', '--json', '--config', path('fifo')], 'SIGINT', 1000, pause)
      expect(ended.took).to.be.lessThan(scaled(300))
      expect(ended.code).to.equal(3)
      expect(JSON.parse(ended.stdout).error.code).to.equal('Interrupted')
    }
  })

  it('takes two signals in quick succession for one: the terminal signals the group, and npm forwards', async () => {
    const ended = await interrupt(['verify', '--local-directory', path('huge')], 'SIGINT', 1000, 10)
    expect(ended.code).to.equal(3)
    expect(ended.stderr.match(/interrupted/g)).to.have.length(1)
  })
})
