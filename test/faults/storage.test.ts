import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { runMirrorFace, spawnMirrorFace, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { setStage } from '../support/server.ts'
import { expectCalm } from './watch.ts'

const mebibyte = 1024 * 1024
const readinessSchema = z.object({ status: z.string(), down: z.array(z.string()) })

/** The status of `/ready`, what it says, and of how many storages that they are down. */
async function readinessOf(server: { readonly url: string }): Promise<readonly [number, string, number]> {
  const answer = await fetch(`${server.url}/ready`)
  const { status, down } = readinessSchema.parse(await answer.json())
  return [answer.status, status, down.length]
}

describe('faults of the storage', () => {
  it('a mirror run that is killed 50 times at random loses nothing, and the next one finishes (fault 1)', async function () {
    this.timeout(240_000)
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const repository = hub.add({ type: 'model', id: 'org/model' })
    let version = 0
    const commitMore = () => {
      const shards = Array.from({ length: 12 }, (_, index) => {
        const content = syntheticContent((4 + 6 * index) * mebibyte, version * 100 + index)
        return [`shard-${index}.safetensors`, content] as const
      })
      repository.commit({ ...Object.fromEntries(shards), 'config.json': `{"version": ${version++}}` })
    }
    commitMore()
    hub.add({ type: 'model', id: 'org/before' }).commit({ 'a.txt': 'a' })
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 40 } : undefined)
    const settings = { MIRRORFACE_LOCAL_DIRECTORY: folder.path, MIRRORFACE_UPSTREAM_URL: hub.url }
    expect((await runMirrorFace(['mirror', 'org/before'], settings)).code).to.equal(0)
    let kills = 0
    for (let attempt = 0; kills < 50; attempt++) {
      const child = spawnMirrorFace(['mirror', 'org/model', '--concurrency', '3'], settings)
      const closed = once(child, 'close')
      await Promise.race([closed, delay(250 + Math.random() * 500)])
      if (child.exitCode === null && child.kill('SIGKILL')) kills++
      const [code] = (await closed) as [number | null]
      if (code === 0) commitMore() // there must be something to interrupt
      // Whatever is visible is sound, at any moment.
      if (attempt % 10 !== 0) continue
      const checked = await runMirrorFace(['verify', '--json'], settings)
      expect(JSON.parse(checked.stdout).problems, checked.stdout).to.deep.equal([])
    }
    const finished = await runMirrorFace(['mirror', 'org/model'], settings)
    expect(finished.code, finished.stderr).to.equal(0)
    const verified = await runMirrorFace(['verify'], settings)
    expect(verified.stdout).to.match(/^sound: 2 repositories/)
    await hub.stop()
  })

  it('two runs of one repository at once, and of two that share blobs, both succeed with one copy of each (fault 2)', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    const shared = syntheticContent(30 * mebibyte, 5)
    hub.add({ type: 'model', id: 'org/one' }).commit({ 'shared.safetensors': shared, 'a.txt': 'a' })
    hub.add({ type: 'model', id: 'org/two' }).commit({ 'shared.safetensors': shared, 'b.txt': 'b' })
    const settings = { MIRRORFACE_LOCAL_DIRECTORY: folder.path, MIRRORFACE_UPSTREAM_URL: hub.url }
    const runs = ['org/one', 'org/one', 'org/two', 'org/two'].map((name) => runMirrorFace(['mirror', name], settings))
    for (const finished of await Promise.all(runs)) expect(finished.code, finished.stderr).to.equal(0)
    expect((await runMirrorFace(['verify'], settings)).stdout).to.match(
      /^sound: 2 repositories, 2 manifests, 2 refs, 3 blobs/,
    )
    await hub.stop()
  })

  it('a disk that is full stops the run with a clear error, and keeps what was there (fault 3)', async () => {
    await using folder = await temporaryFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', folder.path])
    const hub = await new StandInHub().start()
    try {
      hub.add({ type: 'model', id: 'org/small' }).commit({ 'w.safetensors': syntheticContent(10 * mebibyte, 6) })
      hub.add({ type: 'model', id: 'org/large' }).commit({ 'w.safetensors': syntheticContent(100 * mebibyte, 7) })
      hub.add({ type: 'model', id: 'org/fits' }).commit({ 'w.safetensors': syntheticContent(20 * mebibyte, 8) })
      const settings = { MIRRORFACE_LOCAL_DIRECTORY: folder.path, MIRRORFACE_UPSTREAM_URL: hub.url }
      expect((await runMirrorFace(['mirror', 'org/small'], settings)).code).to.equal(0)
      const full = await runMirrorFace(['mirror', 'org/large'], settings)
      expect(full.code).to.equal(1)
      expect(full.stderr).to.match(/full|no space/i)
      expect(full.stderr).to.not.match(/ {4}at /)
      expect((await runMirrorFace(['verify'], settings)).stdout).to.match(/^sound: 1 repositories/m)
      // What the failed run left is in nobody's way for long.
      expect((await runMirrorFace(['sweep', '--grace', '0s', '--yes'], settings)).code).to.equal(0)
      const fits = await runMirrorFace(['mirror', 'org/fits'], settings)
      expect(fits.code, fits.stderr).to.equal(0)
      expect((await runMirrorFace(['verify'], settings)).stdout).to.match(/^sound: 2 repositories/m)
    } finally {
      execFileSync('umount', [folder.path])
      await hub.stop()
    }
  })

  it('a mount that was never mounted is named as down, and requests go to the Hub (fault 5)', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a' })
    const server = await startMirrorFace(['--gcs-mount', folder.path, '--upstream-url', hub.url])
    expect(await readinessOf(server)).to.deep.equal([200, 'degraded', 1])
    expect((await fetch(`${server.endpoint}/api/models/org/model`)).status).to.equal(200)
    await expectCalm(server)
    await server.stop()
    await hub.stop()
  })

  it('a storage that stalls costs a bounded time, then the Hub is asked (fault 6)', async () => {
    await using folder = await temporaryFolder()
    const hub = await new StandInHub().start()
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a' })
    const plugin = join(folder.path, 'stalling.mjs')
    await writeFile(
      plugin,
      `const never = () => new Promise(() => {})
export default {
  kind: 'storage', name: 'stalling', options: { safeParse: (data) => ({ success: true, data }) },
  create: async () => ({ name: 'stalling', stat: never, read: never, children: never, ready: never, close: async () => {}, list: async function* () { await never() } }),
}`,
    )
    const config = join(folder.path, 'c.yaml')
    await writeFile(config, `storages: [{plugin: ${plugin}}]\nstorageTimeout: 300\n`)
    const server = await startMirrorFace(['--config', config, '--upstream-url', hub.url])
    const started = performance.now()
    expect((await fetch(`${server.endpoint}/api/models/org/model`)).status).to.equal(200)
    expect(performance.now() - started).to.be.lessThan(5_000)
    expect(await readinessOf(server)).to.deep.equal([200, 'degraded', 1])
    await expectCalm(server)
    await server.stop()
    await hub.stop()
  })

  for (const [what, change] of [
    ['shrinks', (path: string) => truncate(path, 20 * mebibyte)],
    [
      'is emptied',
      async (path: string) => {
        const file = await open(path, 'w')
        await file.close()
      },
    ],
  ] as const) {
    it(`a file that ${what} while it is served cuts the connection, and is never padded (fault 7)`, async () => {
      await using stage = await setStage((hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'w.safetensors': syntheticContent(60 * mebibyte, 9) })
      })
      await stage.mirror('org/model')
      const blobs = await readdir(join(stage.directory, 'blobs'), { recursive: true, withFileTypes: true })
      const blob = blobs.find((entry) => entry.isFile())
      const request = get(`${stage.server.endpoint}/org/model/resolve/main/w.safetensors`, { agent: false })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      let bytes = 0
      let isCut = false
      response.once('data', () => {
        response.pause()
        void change(join(blob?.parentPath ?? '', blob?.name ?? '')).then(() => response.resume())
      })
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      response.on('error', () => {
        isCut = true
      })
      await new Promise((resolve) => response.once('close', resolve))
      expect(isCut).to.equal(true)
      expect(bytes).to.be.lessThan(60 * mebibyte)
      await expectCalm(stage.server)
    })
  }

  it('links that lead out of the directory are never opened (fault 8)', async () => {
    await using stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'hello' })
    })
    await stage.mirror('org/model')
    const outside = await temporaryFolder()
    await mkdir(join(outside.path, 'commits'), { recursive: true })
    await symlink(outside.path, join(stage.directory, 'repositories', 'models--org--linked'))
    await writeFile(join(outside.path, 'commits', `${'a'.repeat(40)}.json`), '{}')
    const answer = await stage.get(`/api/models/org/linked/revision/${'a'.repeat(40)}`)
    expect(answer.status).to.be.oneOf([401, 404])
    await outside[Symbol.asyncDispose]()
    await expectCalm(stage.server)
  })
})
