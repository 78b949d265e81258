import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { expect } from 'chai'
import { type Content, StandInHub, syntheticContent } from '../../hub/index.ts'
import { answers, bin, freePort, until } from '../../processes/process-group.ts'
import { cleanEnvironment, temporaryFolder } from '../../support/processes.ts'
import { TracedDisk } from './disk.ts'
import { brokenOrder } from './rules.ts'
import { readTrace, straceArguments } from './trace.ts'

describe('what the kernel is asked for, and in which order', function () {
  this.timeout(180_000)
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const root = () => join(folder.path, 'storage')

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const small = (seed: number) => syntheticContent(20_000, seed)
  const files = (seed: number): Record<string, string | Content> => ({
    'config.json': `{"seed": ${seed}}`,
    'empty.txt': '',
    'a.safetensors': small(seed),
    'shared.safetensors': small(99),
  })

  interface Traced {
    readonly disk: TracedDisk
    readonly broken: readonly string[]
  }

  /** Runs commands at the same time, in one trace, until all have ended with 0; `act` is run beside them. */
  async function trace(
    commands: readonly (readonly string[])[],
    act: () => Promise<void> = async () => {},
  ): Promise<Traced> {
    const before = await objectsIn(root())
    const output = join(folder.path, 'trace')
    const shell = commands.map((args) => `"$0" ${args.map((arg) => `'${arg}'`).join(' ')} & jobs="$jobs $!"`).join('\n')
    const waits = 'code=0; for job in $jobs; do wait $job || code=$?; done; exit $code'
    const command = ['bash', '-c', `${shell}\n${waits}`, bin]
    const child = spawn('strace', [...straceArguments, '-o', output, ...command], {
      env: cleanEnvironment({ MIRRORFACE_LOCAL_DIRECTORY: root(), MIRRORFACE_UPSTREAM_URL: hub.url }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let told = ''
    child.stdout.on('data', (chunk) => (told += chunk))
    child.stderr.on('data', (chunk) => (told += chunk))
    const closed = once(child, 'close')
    await act()
    const [code] = (await closed) as [number | null]
    expect(code, told).to.equal(0)
    const disk = new TracedDisk(root(), before, await readTrace(output, root()))
    expect(disk.changes(), 'changes in the trace').not.to.be.empty
    return { disk, broken: brokenOrder(disk) }
  }

  const changed = ({ disk }: Traced, pattern: RegExp) => disk.changes().filter(({ key }) => pattern.test(key))

  it('mirror: blobs, then the manifest, then the ref, each on disk before the next names it (faults 1, 31)', async () => {
    hub.add({ type: 'model', id: 'org/model' }).commit(files(1))
    const traced = await trace([['mirror', 'org/model']])
    expect(traced.broken).to.deep.equal([])
    expect(changed(traced, /^blobs\//)).to.have.length(4)
    expect(changed(traced, /\/commits\//).length).to.be.at.least(2)
    expect(changed(traced, /\/refs\//).length).to.be.at.least(2)
  })

  it('mirror --source and verify --repair (faults 1, 31)', async () => {
    hub.add({ type: 'model', id: 'org/model' }).commit(files(1))
    const source = join(folder.path, 'source')
    await trace([['mirror', 'org/model']])
    await rename(root(), source)
    const traced = await trace([['mirror', 'org/model', '--source', source]])
    expect(traced.broken).to.deep.equal([])
    const blobs = changed(traced, /^blobs\//).map(({ key }) => key)
    expect(blobs).to.have.length(4)
    for (const key of blobs.slice(0, 2)) await writeFile(join(root(), key), 'damaged')
    const repaired = await trace([['verify', '--repair']])
    expect(repaired.broken).to.deep.equal([])
    expect(changed(repaired, /^blobs\//).map(({ key }) => key)).to.have.members(blobs.slice(0, 2))
  })

  it('two runs at once (faults 2, 31)', async () => {
    hub.add({ type: 'model', id: 'org/one' }).commit(files(1))
    hub.add({ type: 'model', id: 'org/two' }).commit(files(2))
    const traced = await trace([
      ['mirror', 'org/one'],
      ['mirror', 'org/two'],
    ])
    expect(traced.broken).to.deep.equal([])
  })

  it('remove and mirror --prune: refs are off a commit, on disk, before its manifest goes (fault 31)', async () => {
    const repository = hub.add({ type: 'model', id: 'org/model' })
    repository.commit(files(1))
    hub.add({ type: 'model', id: 'org/other' }).commit(files(3))
    await trace([['mirror', 'org/model', 'org/other']])
    repository.commit(files(2))
    const pruned = await trace([['mirror', 'org/model', '--prune']])
    expect(pruned.broken).to.deep.equal([])
    expect(changed(pruned, /\/commits\//).some(({ bytes }) => bytes === undefined)).to.equal(true)
    const removed = await trace([['remove', 'org/other']])
    expect(removed.broken).to.deep.equal([])
    expect(changed(removed, /\/(?:commits|refs)\//).filter(({ bytes }) => bytes === undefined)).to.have.length(2)
  })

  it('sweep: nothing is deleted before the log has it on disk, after another look (faults 31, 32)', async () => {
    hub.add({ type: 'model', id: 'org/model' }).commit(files(1))
    hub.add({ type: 'model', id: 'org/other' }).commit(files(2))
    await trace([['mirror', 'org/model', 'org/other']])
    await trace([['remove', 'org/other']])
    const swept = await trace([['sweep', '--yes', '--grace', '0s']])
    expect(swept.broken).to.deep.equal([])
    expect(changed(swept, /^blobs\//)).to.have.length(2)
    expect(changed(swept, /^deletions\//).length).to.be.at.least(3)
  })

  it('pull-through, and the compaction of its journal (faults 31, 33)', async () => {
    const many = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [`${index}.safetensors`, small(index)]))
    hub.add({ type: 'model', id: 'org/model' }).commit(many)
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const serve = ['serve', '--host', '127.0.0.1', '--port', String(port), '--metrics-port', '0', '--pull-through']
    const pulled = await trace([[...serve, '--follow-hosts', '127.0.0.2', '--workers', '2']], async () => {
      await until('it serves', () => answers(port), 60_000)
      const fetched = Object.keys(many).map(async (path) => {
        const response = await fetch(`${url}/mirror/org/model/resolve/main/${path}`)
        expect((await response.arrayBuffer()).byteLength).to.equal(20_000)
      })
      await Promise.all(fetched)
      await until('all is kept', async () => {
        const entries = await objectsIn(root())
        return (
          [...entries].filter(([key, bytes]) => key.includes('/pulled/') && !bytes.includes('pending')).length === 6
        )
      })
      await stopServer(port)
    })
    expect(pulled.broken).to.deep.equal([])
    const compacted = await trace([['mirror', 'org/model']])
    expect(compacted.broken).to.deep.equal([])
    expect(changed(compacted, /\/pulled\//).filter(({ bytes }) => bytes === undefined)).to.have.length(6)
  })
})

/** Tells the server at a port to stop, primary and workers, as a container's end does; neither strace nor the shell. */
async function stopServer(port: number): Promise<void> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const isServer = line.includes(`--port\0${port}\0`) && !line.startsWith('strace')
    if (isServer && !line.startsWith('bash')) process.kill(Number(pid), 'SIGTERM')
  }
}

async function objectsIn(root: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
  const objects = new Map<string, Buffer>()
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const key = relative(root, path)
    const bytes = key.startsWith('.') ? undefined : await readFile(path).catch(() => undefined)
    if (bytes !== undefined) objects.set(key, bytes)
  }
  return objects
}
