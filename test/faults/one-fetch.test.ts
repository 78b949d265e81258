import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { until } from '../processes/process-group.ts'
import { runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'

/** Fetched within the time that a client waits for another process's fetch of it, and larger than what is not worth a lease. */
const weights = syntheticContent(4_300_000, 71)

describe('a content that several want', function () {
  this.timeout(120_000)
  // A machine that does nothing for four seconds makes a client's patience end, and that is right.
  this.retries(2)
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const servers: ServerProcess[] = []

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    for (const name of ['one', 'two'])
      hub.add({ type: 'model', id: `org/${name}` }).commit({ 'w.safetensors': weights, 'name.txt': name })
    // All have asked before the first byte comes.
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 500 } : undefined)
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop('SIGKILL')
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const storage = () => ['--local-directory', join(folder.path, 'storage')]
  /** How often the content was asked for from its beginning. */
  const fetches = () =>
    hub.requestsOf('cdn').filter(({ method, headers }) => method === 'GET' && /^bytes=0-|^$/.test(headers.range ?? ''))
      .length

  async function startPod(workers: number): Promise<ServerProcess> {
    const args = ['--pull-through', '--follow-hosts', '127.0.0.2', '--upstream-url', hub.url]
    const server = await startMirrorFace([...args, '--workers', String(workers), ...storage()])
    servers.push(server)
    return server
  }

  /** On a connection of its own, so that any worker may get it. */
  async function download({ endpoint }: ServerProcess, repository = 'org/one'): Promise<string> {
    return await new Promise<string>((resolve, reject) => {
      const asked = request(`${endpoint}/${repository}/resolve/main/w.safetensors`, { agent: false }, (response) => {
        const hash = createHash('sha256')
        response.on('data', (chunk: Buffer) => hash.update(chunk))
        response.on('end', () => resolve(`${response.statusCode} ${hash.digest('hex')}`))
        response.on('error', reject)
      })
      asked.on('error', reject).end()
    })
  }

  const right = `200 ${weights.sha256}`
  const kept = async (...pods: ServerProcess[]) =>
    await until('it is kept', () => pods.some(({ log }) => log.some(({ msg }) => msg === 'pulled')))
  const expectSound = async () => {
    const verified = await runMirrorFace(['verify', ...storage()])
    expect(verified.stdout).to.match(/^sound/)
  }

  it('is fetched once by the four workers of a server (fault 33)', async () => {
    const pod = await startPod(4)
    expect(await Promise.all(Array.from({ length: 24 }, () => download(pod)))).to.deep.equal(Array(24).fill(right))
    expect(fetches()).to.equal(1)
    await kept(pod)
    await expectSound()
  })

  it('is fetched once by two pods on one storage (fault 33)', async () => {
    const pods = [await startPod(1), await startPod(1)]
    const all = pods.flatMap((pod) => Array.from({ length: 4 }, () => download(pod)))
    expect(await Promise.all(all)).to.deep.equal(Array(8).fill(right))
    expect(fetches()).to.equal(1)
  })

  it('is not fetched again for another repository, nor for another commit (fault 33)', async () => {
    const pod = await startPod(1)
    expect(await download(pod)).to.equal(right)
    await kept(pod)
    expect(await download(pod, 'org/two')).to.equal(right)
    hub.find('models', 'org/one')?.commit({ 'w.safetensors': weights, 'name.txt': 'later' })
    const later = hub.find('models', 'org/one')?.branches.get('main')
    const response = await fetch(`${pod.endpoint}/org/one/resolve/${later}/w.safetensors`)
    expect(response.headers.get('x-repo-commit')).to.equal(later)
    expect(
      createHash('sha256')
        .update(Buffer.from(await response.arrayBuffer()))
        .digest('hex'),
    ).to.equal(weights.sha256)
    expect(fetches()).to.equal(1)
  })

  it('is fetched once by two mirror runs of repositories that share it (faults 2, 33)', async () => {
    const run = (id: string) => runMirrorFace(['mirror', id, '--upstream-url', hub.url, ...storage()])
    for (const { code, stderr } of await Promise.all(['org/one', 'org/two', 'org/one'].map(run)))
      expect(code, stderr).to.equal(0)
    expect(fetches()).to.equal(1)
    await expectSound()
  })

  it('comes from another pod at once where the one that fetched it was killed (fault 33)', async () => {
    const [victim, other] = [await startPod(1), await startPod(1)]
    let isStalled = true
    hub.faults = ({ server }) => (server === 'cdn' && isStalled ? { kind: 'stall', after: 1_000_000 } : undefined)
    const lost = download(victim).catch(() => 'cut')
    await until('it is being fetched', () => fetches() === 1)
    const waiting = download(other)
    isStalled = false
    await victim.stop('SIGKILL')
    expect(await lost).to.equal('cut')
    expect(await waiting).to.equal(right)
    expect(fetches()).to.equal(2)
  })

  it("comes from the Hub within a client's patience where the one that fetches it is slow (fault 33)", async () => {
    const [slow, other] = [await startPod(1), await startPod(1)]
    let isSlow = true
    hub.faults = ({ server }) => (server === 'cdn' && isSlow ? { kind: 'slow', bytesPerSecond: 100_000 } : undefined)
    const first = download(slow).catch(() => 'cut')
    await until('it is being fetched', () => fetches() === 1)
    isSlow = false
    expect(await download(other)).to.equal(right)
    expect(fetches()).to.equal(2)
    await slow.stop('SIGKILL')
    await first
  })

  it('whose stored bytes were damaged comes from the Hub again, and is never taken for right (fault 4)', async () => {
    const pod = await startPod(1)
    expect(await download(pod)).to.equal(right)
    await kept(pod)
    const blob = join(folder.path, 'storage/blobs/sha256', weights.sha256.slice(0, 2), weights.sha256)
    await using file = await open(blob, 'r+')
    await file.write(Buffer.from('damaged'), 0, 7, 3_000_000)
    const outcome = await download(pod, 'org/two').catch(() => 'cut')
    expect(outcome).to.equal('cut')
    await until('it is told', () => pod.log.some(({ msg }) => msg === 'pull failed'))
    expect(await download(pod, 'org/two')).to.equal(right)
    expect(fetches()).to.equal(2)
  })
})
