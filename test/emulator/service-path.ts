import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../hub/index.ts'
import { addModel, modelId, pythonOf } from '../support/model.ts'
import {
  run,
  runMirrorFace,
  type ServerProcess,
  spawnMirrorFace,
  startMirrorFace,
  temporaryFolder,
} from '../support/processes.ts'

const check = fileURLToPath(new URL('../clients/scripts/huggingface_hub_check.py', import.meta.url))
const mebibyte = 1024 * 1024

/** A service of objects to try the production path on. */
export interface ObjectServiceFixture extends AsyncDisposable {
  /** A new storage on it. */
  newStorage(): Promise<string>
  /** What the service's client needs. */
  readonly environment: Record<string, string>
  /** What only a signed URL of this service has. */
  readonly signature: RegExp
  /** How many uploads lie unfinished in the storage, where the service tells. */
  unfinished?(storage: string): Promise<number>
}

/** From the Hub to a client with the Hub off, by way of a service: stream, redirect, kills, verification, removal. */
export function describeServicePath(name: string, open: () => Promise<ObjectServiceFixture>): void {
  describe(`the production path: Hub, ${name}, server, client`, function () {
    this.timeout(300_000)
    const hub = new StandInHub()
    let service: ObjectServiceFixture
    let storage: string
    let digests: Record<string, string>

    const mirrorface = async (command: string, ...args: string[]) =>
      await runMirrorFace([command, '--storage', storage, ...args], {
        MIRRORFACE_UPSTREAM_URL: hub.url,
        ...service.environment,
      })
    const serve = async (...args: string[]) =>
      await startMirrorFace(['--storage', storage, '--upstream-url', hub.url, ...args], service.environment)

    async function loadModel(server: ServerProcess): Promise<void> {
      await using home = await temporaryFolder()
      const finished = await run(pythonOf('hub-2'), [check, modelId], {
        // Another host name than the service's, as in reality: clients follow redirects on one host by themselves.
        HF_ENDPOINT: server.endpoint.replace('127.0.0.1', 'localhost'),
        HF_HOME: home.path,
        HF_HUB_DISABLE_TELEMETRY: '1',
      })
      expect(finished.code, finished.stderr + server.output()).to.equal(0)
      const result = JSON.parse(finished.stdout)
      expect(result.snapshot).to.deep.equal(digests)
      expect(result.local_dir).to.deep.equal(digests)
    }

    before(async () => {
      service = await open()
      storage = await service.newStorage()
      await hub.start()
      const repository = await addModel(hub)
      const commit = repository.commits.get(repository.branches.get('main') ?? '')
      digests = Object.fromEntries([...(commit?.files.values() ?? [])].map((file) => [file.path, file.content.sha256]))
      const mirrored = await mirrorface('mirror', modelId, '--revision', 'main', '--revision', 'v1')
      expect(mirrored.code, mirrored.stderr).to.equal(0)
      await hub.stop()
    })
    after(async () => {
      await hub.stop()
      await service[Symbol.asyncDispose]()
    })

    it('serves with the Hub off, streaming', async () => {
      const server = await serve()
      await loadModel(server)
      const url = `${server.endpoint}/${modelId}/resolve/main/model.safetensors`
      const part = await fetch(url, { headers: { range: 'bytes=1000-1999' } })
      expect(part.status).to.equal(206)
      expect((await part.arrayBuffer()).byteLength).to.equal(1000)
      await server.stop()
    })

    it('serves with the Hub off by signed URL, so that the bytes never pass through', async () => {
      const server = await serve('--delivery', 'redirect')
      const url = `${server.endpoint}/${modelId}/resolve/main/model.safetensors`
      const response = await fetch(url, { redirect: 'manual' })
      expect(response.status).to.equal(302)
      expect(response.headers.get('location')).to.match(service.signature)
      expect(response.headers.get('x-linked-etag')).to.equal(`"${digests['model.safetensors']}"`)
      await loadModel(server)
      const sent = server.log
        .filter((line) => String(line.path).endsWith('model.safetensors'))
        .map((line) => Number(line.bytes))
      expect(Math.max(...sent)).to.be.lessThan(1000)
      await server.stop()
    })

    it('is examined, verified, and emptied', async () => {
      const doctor = await mirrorface('doctor', '--json')
      const found = JSON.parse(doctor.stdout).filter(({ subject }: { subject: string }) => /^storage/.test(subject))
      expect(found.map(({ message }: { message: string }) => message)).to.include.members([
        'can be read',
        'can be written to, on condition',
      ])
      for (const args of [[], ['--quick']]) {
        const verified = await mirrorface('verify', ...args)
        expect(verified.stdout, verified.stderr).to.match(/^sound: 1 repositories/)
      }
      expect((await mirrorface('remove', modelId)).code).to.equal(0)
      expect((await mirrorface('sweep', '--grace', '0s', '--yes')).code).to.equal(0)
      const listed = await mirrorface('list', '--json')
      expect(JSON.parse(listed.stdout)).to.deep.equal({ bytes: 0, repositories: [] })
    })

    it('keeps what it has through kills, and ends sound', async () => {
      storage = await service.newStorage()
      await hub.start()
      const repository = hub.add({ type: 'model', id: 'org/killed' })
      const shards = [20, 24, 40].map(
        (size, index) => [`shard-${index}.safetensors`, syntheticContent(size * mebibyte, index)] as const,
      )
      repository.commit({ ...Object.fromEntries(shards), 'config.json': '{}' })
      hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 30 } : undefined)
      for (let kills = 0, wait = 500; kills < 8; wait += 250) {
        const child = spawnMirrorFace(['mirror', 'org/killed', '--storage', storage, '--concurrency', '2'], {
          MIRRORFACE_UPSTREAM_URL: hub.url,
          ...service.environment,
        })
        const closed = once(child, 'close')
        await Promise.race([closed, delay(wait + Math.random() * 500)])
        if (child.exitCode === null && child.kill('SIGKILL')) kills++
        const [code] = (await closed) as [number | null]
        if (code === 0) break // the machine is fast: it has all
        expect(code, 'it was killed, or did its work').to.equal(null)
      }
      const mirrored = await mirrorface('mirror', 'org/killed')
      expect(mirrored.code, mirrored.stderr).to.equal(0)
      await hub.stop()
      const verified = await mirrorface('verify')
      expect(verified.stdout, verified.stderr).to.match(/^sound: 1 repositories/)
      expect((await mirrorface('sweep', '--grace', '0s', '--yes')).code).to.equal(0)
      expect((await service.unfinished?.(storage)) ?? 0).to.equal(0)
      expect((await mirrorface('verify')).stdout).to.match(/^sound: 1 repositories/)
    })
  })
}
