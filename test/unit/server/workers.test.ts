import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { setStage } from '../../support/server.ts'

const pidsOf = (server: ServerProcess) =>
  new Set(server.log.filter(({ msg }) => msg === 'request').map(({ pid }) => Number(pid)))

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await holds()) return
    await delay(50)
  }
  throw new Error(`it does not come to pass: ${what}`)
}

/** Node's own client: its `fetch` breaks where a slowly read connection is closed behind the body. */
async function download(server: ServerProcess, path: string, onBytes?: () => Promise<void>): Promise<number | 'cut'> {
  let bytes = 0
  try {
    const [response] = (await once(get(server.url + path, { agent: false }), 'response')) as [IncomingMessage]
    for await (const chunk of response) {
      bytes += chunk.length
      await onBytes?.()
    }
  } catch {
    return 'cut'
  }
  return bytes
}

/** Asks on connections of their own, so that each worker gets some. */
const ask = (server: ServerProcess, path: string) => fetch(server.url + path, { headers: { connection: 'close' } })

describe('workers', function () {
  this.timeout(60_000)

  it('share requests, and their metrics and misses are one', async () => {
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a' })
      },
      ['--workers', '2'],
    )
    const { server } = stage
    for (let count = 0; count < 20; count++) await (await ask(server, '/api/models/org/model')).arrayBuffer()
    await until('both answered', () => pidsOf(server).size === 2)
    const metrics = await (await fetch(server.metricsUrl)).text()
    expect(metrics).to.match(/^mirrorface_total_requests\{repository="org\/model"\} 20$/m)
    expect(metrics).to.match(/^mirrorface_build_info\{.*\} 1$/m)
    await delay(700)
    for (let count = 0; count < 6; count++) {
      const { misses } = (await (await ask(server, '/-/misses')).json()) as { misses: { requests: number }[] }
      expect(misses[0]?.requests).to.equal(20)
    }
  })

  it('are replaced when they die, and others are not disturbed (fault 19)', async () => {
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': syntheticContent(50_000_000, 2) })
      },
      ['--workers', '2'],
    )
    await stage.mirror('org/model')
    const { server } = stage
    for (let count = 0; count < 10; count++) await (await ask(server, '/health')).arrayBuffer()
    await until('both answered', () => pidsOf(server).size === 2)
    const downloads = Array.from({ length: 8 }, () =>
      download(server, '/org/model/resolve/main/w.safetensors', () => delay(5)),
    )
    await delay(50)
    const [victim = 0] = pidsOf(server)
    process.kill(victim, 'SIGKILL')
    const results = await Promise.all(downloads)
    expect(results.filter((result) => result === 50_000_000).length).to.be.greaterThan(0)
    expect(results.every((result) => result === 'cut' || result === 50_000_000)).to.equal(true)
    await until('it is replaced', () => server.log.some(({ msg }) => String(msg).startsWith('a worker died')))
    await until('the metrics tell', async () =>
      (await (await fetch(server.metricsUrl)).text()).includes('mirrorface_worker_restarts_total 1'),
    )
    for (let count = 0; count < 10; count++) expect((await ask(server, '/health')).status).to.equal(200)
  })

  it('restart one by one on SIGHUP, with the changed configuration and no request refused', async () => {
    await using folder = await temporaryFolder()
    const config = join(folder.path, 'c.yaml')
    await writeFile(config, `workers: 2\noffline: true\nlocalDirectory: ${folder.path}/data\n`)
    const server = await startMirrorFace(['--config', config])
    expect((await ask(server, '/api/models/org/x')).headers.get('x-error-code')).to.equal('RepoNotFound')
    await writeFile(config, `workers: 2\noffline: true\nlocalDirectory: ${folder.path}/data\ndeny: ["org/*"]\n`)
    server.child.kill('SIGHUP')
    let isDone = false
    const client = async () => {
      while (!isDone) {
        expect((await ask(server, '/health')).status).to.equal(200)
        await delay(5)
      }
    }
    const asking = Promise.all(Array.from({ length: 8 }, client))
    await until('they restarted', () => server.log.some(({ msg }) => msg === 'workers restarted'))
    isDone = true
    await asking
    expect((await ask(server, '/api/models/org/x')).headers.get('x-error-message')).to.match(
      /denied by this mirror's policy/,
    )
    await writeFile(config, 'workers: 2\nprot: 1\n')
    server.child.kill('SIGHUP')
    await until('it is given up', () => server.log.some(({ msg }) => String(msg).startsWith('restart given up')))
    expect((await ask(server, '/health')).status).to.equal(200)
    expect((await server.stop()).code).to.equal(0)
  })

  it('let downloads end when the server stops (fault 19)', async () => {
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': syntheticContent(20_000_000, 2) })
      },
      ['--workers', 'auto'],
    )
    await stage.mirror('org/model')
    let isFirst = true
    let stopped: ReturnType<ServerProcess['stop']> | undefined
    const bytes = await download(stage.server, '/org/model/resolve/main/w.safetensors', async () => {
      if (isFirst) stopped = stage.server.stop()
      isFirst = false
      await delay(2)
    })
    expect(bytes).to.equal(20_000_000)
    expect((await stopped)?.code).to.equal(0)
  })

  it('do not wait for connections that were opened and never used, when the server stops', async () => {
    await using folder = await temporaryFolder()
    const server = await startMirrorFace(['--offline', '--local-directory', folder.path])
    const { hostname, port } = new URL(server.url)
    const unused = connect(Number(port), hostname).on('error', () => undefined)
    await once(unused, 'connect')
    await (await ask(server, '/health')).arrayBuffer()
    const started = performance.now()
    expect((await server.stop()).code).to.equal(0)
    expect(performance.now() - started).to.be.lessThan(10_000) // the grace period is 30 s
  })

  it('tell a mistake once', async () => {
    const finished = await runMirrorFace([
      'serve',
      '--workers',
      '3',
      '--port',
      '1',
      '--host',
      '203.0.113.1',
      '--offline',
    ])
    expect(finished.code).to.equal(1)
    expect(finished.stderr.trim().split('\n')).to.have.length(1)
  })
})
