import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { runMirrorFace } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'
import { expectCalm, expectHandlesBack, vitalsOf } from './watch.ts'

const size = 64 * 1024 * 1024
const path = '/mirror/org/model/resolve/main/w.safetensors'

async function largeModel(args: readonly string[] = []): Promise<Stage> {
  const stage = await setStage((hub) => {
    hub
      .add({ type: 'model', id: 'org/model' })
      .commit({ 'config.json': '{}', 'w.safetensors': syntheticContent(size, 3) })
    hub.add({ type: 'model', id: 'org/other' }).commit({ 'a.txt': 'a' })
  }, args)
  await stage.mirror('org/model')
  return stage
}

/** A client that takes a little of the first `bytes` and then nothing more, for as long as it lives. */
async function slowReader(stage: Stage, bytes = size): Promise<{ destroy(): void }> {
  const { hostname, port } = new URL(stage.server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-${bytes - 1}\r\n\r\n`)
  await Promise.race([once(socket, 'readable'), once(socket, 'close')])
  const sip = setInterval(() => socket.read(1024), 1000)
  socket.once('close', () => clearInterval(sip))
  return socket
}

async function download(stage: Stage): Promise<number> {
  // Real clients keep their connection. One closed under thousands of slow readers would be reset with its
  // last bytes unsent, once the kernel is short of memory for sockets.
  const agent = new Agent({ keepAlive: true })
  const request = get(stage.server.url + path, { agent })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  request.on('error', () => undefined) // told by the response as well
  let bytes = 0
  try {
    for await (const chunk of response) bytes += chunk.length
  } catch (error) {
    const said = stage.server.log.filter(({ level }) => Number(level) > 30).slice(-3)
    throw new Error(`a download broke off after ${bytes} bytes; the server said ${JSON.stringify(said)}`, {
      cause: error,
    })
  } finally {
    agent.destroy()
  }
  return bytes
}

/** Milliseconds that metadata takes, sorted. */
async function metadataTimes(stage: Stage, count: number): Promise<number[]> {
  const times: number[] = []
  for (let asked = 0; asked < count; asked++) {
    const started = performance.now()
    await (await stage.get('/api/models/org/model')).arrayBuffer()
    times.push(performance.now() - started)
    await delay(5)
  }
  return times.toSorted((a, b) => a - b)
}

describe('load', function () {
  this.timeout(60_000)

  it('a thousand slow readers hold bounded memory, and fast clients get theirs (fault 16)', async () => {
    await using stage = await largeModel()
    const before = await vitalsOf(stage.server)
    const readers = await Promise.all(Array.from({ length: 1000 }, () => slowReader(stage)))
    await delay(2000)
    const during = await vitalsOf(stage.server)
    console.log(`      ${before.memory.toFixed(0)} MiB before, ${during.memory.toFixed(0)} MiB with 1,000 slow readers`)
    expect(during.memory).to.be.lessThan(400)
    const started = performance.now()
    expect(await download(stage)).to.equal(size)
    expect(performance.now() - started).to.be.lessThan(15_000)
    for (const reader of readers) reader.destroy()
    await expectHandlesBack(stage.server, before.handles, 10)
    await expectCalm(stage.server)
  })

  it('two thousand connections that download leave metadata bounded (fault 17)', async () => {
    await using stage = await largeModel()
    // Half a megabyte each: 1 GB of the kernel's memory, of which a small machine gives sockets no more than 2.
    const readers = await Promise.all(Array.from({ length: 2000 }, () => slowReader(stage, 512 * 1024)))
    const downloads = Promise.all(Array.from({ length: 8 }, () => download(stage)))
    const times = await metadataTimes(stage, 100)
    const p99 = times[98] ?? 0
    console.log(
      `      metadata beside 2,000 connections and 8 downloads: p50 ${times[50]?.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    )
    expect(p99).to.be.lessThan(2000)
    for (const bytes of await downloads) expect(bytes).to.equal(size)
    for (const reader of readers) reader.destroy()
    await expectCalm(stage.server)
  })

  it('a soak of mixed load and faults leaves memory, handles and latency flat (fault 18)', async function () {
    const seconds = Number(process.env.SOAK_SECONDS ?? 30)
    this.timeout((seconds + 120) * 1000)
    await using stage = await largeModel()
    const faults = [
      undefined,
      undefined,
      { kind: 'reset', after: 10 },
      { kind: 'refuse' },
      { kind: 'status', status: 503 },
      { kind: 'delay', milliseconds: 50 },
    ] as const
    let turn = 0
    stage.hub.faults = () => faults[turn++ % faults.length]
    let isDone = false
    const client = async (act: () => Promise<unknown>) => {
      while (!isDone) {
        await act().catch(() => undefined) // a fault's effect on a client is other tests' concern
        await delay(5)
      }
    }
    const body = async (target: string, init?: RequestInit) => (await stage.get(target, init)).arrayBuffer()
    const clients = [
      ...Array.from({ length: 4 }, () => client(() => body('/api/models/org/model'))),
      ...Array.from({ length: 2 }, () =>
        client(() => body('/org/model/resolve/main/w.safetensors', { headers: { range: 'bytes=0-4000000' } })),
      ),
      ...Array.from({ length: 3 }, () => client(() => body('/api/models/org/other'))),
      ...Array.from({ length: 2 }, () => client(() => body('/org/other/resolve/main/a.txt'))),
      client(() => body('/org/nothing/resolve/main/x')),
      client(() => body('/org/model/resolve/main/w.safetensors', { signal: AbortSignal.timeout(20) })),
    ]
    await delay(25_000) // until the heap's young generation has its size
    const samples = []
    await vitalsOf(stage.server) // its lag would be that of the start
    for (let sample = 0; sample < 5; sample++) {
      await delay((seconds * 1000) / 5)
      samples.push(await vitalsOf(stage.server))
    }
    const times = await metadataTimes(stage, 50)
    isDone = true
    await Promise.all(clients)
    console.log(
      `      memory ${samples.map(({ memory }) => memory.toFixed(0)).join(', ')} MiB; handles ${samples.map(({ handles }) => handles).join(', ')}; event loop late by ${samples.map(({ lag }) => lag.toFixed(0)).join(', ')} ms; metadata p50 ${times[25]?.toFixed(1)} ms`,
    )
    const [first, last] = [samples[0], samples.at(-1)]
    expect(last?.memory ?? 0).to.be.lessThan((first?.memory ?? 0) * 1.3 + 30)
    expect(last?.handles ?? 0).to.be.lessThan((first?.handles ?? 0) + 40)
    expect(last?.lag ?? Number.NaN).to.be.lessThan((first?.lag ?? 0) * 2 + 100)
    await expectCalm(stage.server)
  })

  it('ten thousand repositories, one with 50,000 files, keep start-up, pages and memory bounded (fault 20)', async function () {
    this.timeout(240_000) // most of it is laying them out
    const files = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`folder-${index % 100}/file-${index}.txt`, String(index % 7)]),
    )
    await using stage = await setStage((hub) => {
      hub.add({ type: 'dataset', id: 'org/many' }).commit(files)
    })
    await stage.mirror('org/many', '--type', 'dataset', '--concurrency', '32')
    const { mkdir, writeFile } = await import('node:fs/promises')
    for (let index = 0; index < 10_000; index++) {
      const commit = index.toString(16).padStart(40, '0')
      const folder = `${stage.directory}/repositories/models--org--m${index}`
      const manifest = {
        layout: 2,
        repository: { type: 'model', id: `org/m${index}` },
        commit,
        mirroredAt: new Date().toISOString(),
        mirroredFrom: 'test',
        info: {},
        commits: [],
        files: [],
        directories: [],
      }
      await mkdir(`${folder}/commits`, { recursive: true })
      await mkdir(`${folder}/refs`, { recursive: true })
      await writeFile(`${folder}/commits/${commit}.json`, JSON.stringify(manifest))
      await writeFile(
        `${folder}/refs/main.json`,
        JSON.stringify({ commit, kind: 'branch', updatedAt: new Date().toISOString() }),
      )
    }
    let entries = 0
    let next: string | undefined = `${stage.server.endpoint}/api/datasets/org/many/tree/main?recursive=true`
    while (next !== undefined) {
      const page: Response = await fetch(next)
      const listed = (await page.json()) as unknown[]
      expect(listed.length).to.be.at.most(1000)
      entries += listed.length
      next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1]
    }
    expect(entries).to.equal(50_100)
    for (let index = 0; index < 10_000; index += 5) await (await stage.get(`/api/models/org/m${index}`)).arrayBuffer()
    expect((await vitalsOf(stage.server)).memory).to.be.lessThan(500)
    const started = performance.now()
    const listed = await runMirrorFace(['list', '--json', '--local-directory', stage.directory])
    expect(JSON.parse(listed.stdout).repositories).to.have.length(10_001)
    console.log(`      listed in ${((performance.now() - started) / 1000).toFixed(1)} s`)
    await expectCalm(stage.server)
  })
})
