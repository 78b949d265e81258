import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'
import { until } from './process-group.ts'

const weights = syntheticContent(40_000_000, 21)
/** Where the stand-in's CDN is. */
const cdn = ['--follow-hosts', '127.0.0.2']
const path = '/org/model/resolve/main/w.safetensors'

const sha256Of = async (response: Response) => {
  const hash = createHash('sha256')
  for await (const chunk of response.body ?? []) hash.update(chunk)
  return hash.digest('hex')
}

describe('pull-through and its process', function () {
  this.timeout(90_000)

  const stageWith = (...args: string[]): Promise<Stage> =>
    setStage(
      (hub) => {
        const files = Object.fromEntries(
          Array.from({ length: 8 }, (_, index) => [`${index}.bin`, syntheticContent(5_000_000, index)]),
        )
        hub
          .add({ type: 'model', id: 'org/model' })
          .commit({ 'config.json': '{"a": 1}', 'w.safetensors': weights, ...files })
      },
      ['--pull-through', ...cdn, ...args],
    )
  /** Waits until a download is under way that takes far longer than any grace period. */
  const beginSlowPull = async (stage: Stage, abort: AbortSignal) => {
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond: 500_000 } : undefined)
    const response = await stage.get(path, { signal: abort })
    expect(response.status).to.equal(200)
    return response
  }

  for (const [what, leaves] of [
    ['with a client', false],
    ['that its client has left', true],
  ] as const)
    it(`a download ${what} ends with the grace period (fault 19)`, async () => {
      await using spool = await temporaryFolder()
      await using stage = await stageWith('--spool-directory', spool.path, '--grace-period', '1000')
      const leaving = new AbortController()
      const response = await beginSlowPull(stage, leaving.signal)
      const body = response.arrayBuffer().catch(() => undefined)
      await delay(300)
      if (leaves) leaving.abort()
      const started = performance.now()
      const finished = await stage.server.stop()
      expect(performance.now() - started, finished.stdout).to.be.lessThan(8_000)
      expect({ code: finished.code, signal: finished.signal }).to.deep.equal({ code: 0, signal: null })
      await body
      expect(await readdir(spool.path)).to.deep.equal([])
    })

  it('a download that can end within the grace period does, and is kept', async () => {
    await using spool = await temporaryFolder()
    await using stage = await stageWith('--spool-directory', spool.path)
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond: 2_000_000 } : undefined)
    const leaving = new AbortController()
    const response = await stage.get('/org/model/resolve/main/1.bin', { signal: leaving.signal })
    expect(response.status).to.equal(200)
    leaving.abort()
    const finished = await stage.server.stop()
    expect(finished.code).to.equal(0)
    expect(finished.stdout).to.match(/"msg":"pulled"/)
  })

  it('a second signal aborts downloads too', async () => {
    await using stage = await stageWith()
    const leaving = new AbortController()
    await beginSlowPull(stage, leaving.signal)
    leaving.abort()
    stage.server.child.kill('SIGTERM')
    await delay(400)
    const started = performance.now()
    expect((await stage.server.stop()).code).to.equal(0)
    expect(performance.now() - started).to.be.lessThan(8_000)
  })

  it('a killed server leaves nothing in the spool, and what others left is removed, if they no longer run', async () => {
    await using spool = await temporaryFolder()
    await using stage = await stageWith('--spool-directory', spool.path)
    const leaving = new AbortController()
    const response = await beginSlowPull(stage, leaving.signal)
    await delay(300)
    await stage.server.stop('SIGKILL')
    leaving.abort()
    await response.arrayBuffer().catch(() => undefined)
    expect(await readdir(spool.path), 'after SIGKILL').to.deep.equal([])
    const [dead, running] = [`${'a'.repeat(40)}-${stage.server.child.pid}-abc`, `${'b'.repeat(40)}-${process.pid}-abc`]
    for (const name of [dead, running, 'somebody-elses']) await writeFile(join(spool.path, name), 'x')
    const server = await startMirrorFace([
      '--pull-through',
      '--spool-directory',
      spool.path,
      '--local-directory',
      stage.directory,
    ])
    await until('the spool is cleaned', () => !existsSync(join(spool.path, dead)))
    expect((await readdir(spool.path)).sort()).to.deep.equal([running, 'somebody-elses'])
    await server.stop()
  })

  it('a spool file that cannot be removed ends no server', async () => {
    await using spool = await temporaryFolder()
    await using stage = await stageWith('--spool-directory', spool.path)
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond: 10_000_000 } : undefined)
    const pulling = stage.get('/org/model/resolve/main/0.bin').then((response) => response.arrayBuffer())
    for (let attempt = 0; attempt < 40; attempt++) {
      for (const name of await readdir(spool.path)) {
        await rm(join(spool.path, name), { force: true })
        await mkdir(join(spool.path, name, 'in-the-way'), { recursive: true })
      }
      await delay(5)
    }
    await pulling
    await delay(500)
    expect((await fetch(`${stage.server.url}/health`)).status, stage.server.output()).to.equal(200)
    expect(stage.server.output()).not.to.match(/unhandled|uncaught/i)
  })

  it('what has no room within the limit comes from the Hub, for all who ask at once (fault 35)', async () => {
    await using spool = await temporaryFolder()
    await using stage = await stageWith('--spool-directory', spool.path, '--spool-limit', '12000000')
    const large = await stage.get(path)
    expect(large.status, 'the Hub sends clients to its CDN').to.be.oneOf([302, 307])
    expect(large.headers.get('x-repo-commit')).to.match(/^[0-9a-f]{40}$/)
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond: 5_000_000 } : undefined)
    const responses = await Promise.all(
      Array.from({ length: 40 }, (_, index) => stage.get(`/org/model/resolve/main/${index % 8}.bin`)),
    )
    const statuses = responses.map(({ status }) => status)
    expect(statuses.filter((status) => ![200, 302, 307].includes(status))).to.deep.equal([])
    expect(statuses).to.include(200)
    expect(statuses.some((status) => status !== 200)).to.equal(true)
    for (const response of responses) await response.arrayBuffer()
    // There is room again.
    await delay(1_000)
    const later = await stage.get('/org/model/resolve/main/7.bin')
    expect(later.status).to.equal(200)
    await later.arrayBuffer()
  })

  const stageIn = async (directory: string) => {
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': weights })
    const server = await startMirrorFace([
      '--pull-through',
      ...cdn,
      '--local-directory',
      directory,
      '--upstream-url',
      hub.url,
    ])
    return {
      hub,
      server,
      get: () => fetch(`${server.endpoint}${path}`, { redirect: 'manual' }),
      [Symbol.asyncDispose]: async () => {
        await server.stop()
        await hub.stop()
      },
    }
  }

  const onSmallDisk = async (act: (directory: string) => Promise<void>, size: string) => {
    await using folder = await temporaryFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder.path])
    try {
      await act(folder.path)
    } finally {
      execFileSync('umount', ['-l', folder.path])
    }
  }

  it('what has no room on the disk of the spool comes from the Hub (fault 35)', () =>
    onSmallDisk(async (spool) => {
      await using stage = await stageWith('--spool-directory', spool)
      for (let count = 0; count < 3; count++) {
        const response = await stage.get(path)
        expect(response.status).to.be.oneOf([302, 307])
      }
      const small = await stage.get('/org/model/resolve/main/0.bin')
      expect(small.status).to.equal(200)
      expect(await sha256Of(small)).to.equal(syntheticContent(5_000_000, 0).sha256)
    }, '30m'))

  it('a full storage lets clients have the file that they wait for, and the next ones from the Hub (fault 35)', () =>
    onSmallDisk(async (directory) => {
      await using stage = await stageIn(directory)
      const responses = await Promise.all(Array.from({ length: 5 }, () => stage.get()))
      for (const response of responses) {
        expect(response.status).to.equal(200)
        expect(await sha256Of(response)).to.equal(weights.sha256)
      }
      await until('it is said', () => stage.server.log.some(({ msg }) => String(msg).startsWith('not kept')))
      expect((await stage.get()).status).to.be.oneOf([302, 307])
    }, '20m'))

  it('wrong bytes are not taken for right ones where the storage is full', () =>
    onSmallDisk(async (directory) => {
      await using stage = await stageIn(directory)
      stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'corrupt' } : undefined)
      const response = await stage.get()
      expect(
        await response.arrayBuffer().then(
          () => 'whole',
          () => 'cut',
        ),
      ).to.equal('cut')
    }, '20m'))
})
