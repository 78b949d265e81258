import { createHash, generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub } from '../hub/index.ts'
import { type GcsEmulator, type GcsMount, mountBucket, startGcsEmulator } from '../support/emulator.ts'
import { addModel, modelId, pythonOf } from '../support/model.ts'
import { run, runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'

const check = fileURLToPath(new URL('../clients/scripts/huggingface_hub_check.py', import.meta.url))

describe('the production path: Hub, bucket, gcsfuse, server, client', function () {
  this.timeout(180_000)
  const hub = new StandInHub()
  let emulator: GcsEmulator
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let digests: Record<string, string>

  before(async () => {
    folder = await temporaryFolder()
    emulator = await startGcsEmulator()
    await emulator.makeBucket('models')
    await hub.start()
    const repository = await addModel(hub)
    const commit = repository.commits.get(repository.branches.get('main') ?? '')
    digests = Object.fromEntries([...(commit?.files.values() ?? [])].map((file) => [file.path, file.content.sha256]))
    const args = [
      'mirror',
      modelId,
      '--revision',
      'main',
      '--revision',
      'v1',
      '--gcs-bucket',
      'models/mirror',
      '--gcs-endpoint',
      emulator.url,
    ]
    const mirrored = await runMirrorFace(args, { MIRRORFACE_UPSTREAM_URL: hub.url })
    expect(mirrored.code, mirrored.stderr).to.equal(0)
    await hub.stop()
  })
  after(async () => {
    await hub.stop()
    await emulator[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  async function loadModel(server: ServerProcess): Promise<void> {
    await using home = await temporaryFolder()
    const finished = await run(pythonOf('hub-2'), [check, modelId], {
      HF_ENDPOINT: server.endpoint,
      HF_HOME: home.path,
      HF_HUB_DISABLE_TELEMETRY: '1',
    })
    expect(finished.code, finished.stderr + server.output()).to.equal(0)
    const result = JSON.parse(finished.stdout)
    expect(result.snapshot).to.deep.equal(digests)
    expect(result.local_dir).to.deep.equal(digests)
  }

  const rangeOf = async (server: ServerProcess, range: string) => {
    const response = await fetch(`${server.endpoint}/${modelId}/resolve/main/model.safetensors`, { headers: { range } })
    return {
      status: response.status,
      contentRange: response.headers.get('content-range'),
      body: Buffer.from(await response.arrayBuffer()),
    }
  }

  it('serves from a read-only gcsfuse mount, and survives its going away (fault 5)', async () => {
    const mount: GcsMount = await mountBucket(emulator.url, 'models')
    const server = await startMirrorFace(['--gcs-mount', join(mount.path, 'mirror'), '--upstream-url', hub.url], {
      MIRRORFACE_REFRESH_AFTER: '200',
    })
    await loadModel(server)
    expect((await fetch(`${server.url}/ready`)).status).to.equal(200)
    await mount.unmount()
    // Requests can be passed on.
    const degraded = await fetch(`${server.url}/ready`)
    expect(degraded.status).to.equal(200)
    expect(await degraded.json()).to.deep.include({ status: 'degraded', down: ['gcs-mount'] })
    const refused = await fetch(`${server.endpoint}/${modelId}/resolve/main/config.json`)
    expect(refused.status).to.equal(502)
    await mount.mount()
    expect((await fetch(`${server.url}/ready`)).status).to.equal(200)
    await loadModel(server)
    await server.stop()
    await mount[Symbol.asyncDispose]()
  })

  it('is not ready on a directory where nothing is mounted (fault 5)', async () => {
    const server = await startMirrorFace(['--gcs-mount', folder.path, '--offline'])
    const response = await fetch(`${server.url}/ready`)
    expect(response.status).to.equal(503)
    expect(await response.text()).to.match(/is not a mount: is gcsfuse running\?/)
    await server.stop()
  })

  it('serves from the bucket directly, streaming', async () => {
    const server = await startMirrorFace([
      '--gcs-bucket',
      'models/mirror',
      '--gcs-endpoint',
      emulator.url,
      '--upstream-url',
      hub.url,
    ])
    await loadModel(server)
    const whole = await fetch(`${server.endpoint}/${modelId}/resolve/main/model.safetensors`)
    const bytes = Buffer.from(await whole.arrayBuffer())
    expect(createHash('sha256').update(bytes).digest('hex')).to.equal(digests['model.safetensors'])
    const part = await rangeOf(server, 'bytes=1000-1999')
    expect(part.status).to.equal(206)
    expect(part.body.equals(bytes.subarray(1000, 2000))).to.equal(true)
    await server.stop()
  })

  it('redirects to signed URLs, so that the bytes never pass through', async () => {
    const keyFile = join(folder.path, 'key.json')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    await writeFile(
      keyFile,
      JSON.stringify({
        type: 'service_account',
        client_email: 'mirror@test.invalid',
        private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      }),
    )
    const config = join(folder.path, 'redirect.yaml')
    await writeFile(
      config,
      `delivery: redirect\nstorages:\n  - {plugin: gcs, bucket: models/mirror, endpoint: "${emulator.url}"}\n`,
    )
    const server = await startMirrorFace(['--config', config, '--upstream-url', hub.url], {
      GOOGLE_APPLICATION_CREDENTIALS: keyFile,
    })
    const url = `${server.endpoint}/${modelId}/resolve/main/model.safetensors`
    const response = await fetch(url, { redirect: 'manual' })
    expect(response.status).to.equal(302)
    expect(response.headers.get('location')).to.match(/X-Goog-Algorithm=GOOG4-RSA-SHA256.*X-Goog-Signature=[0-9a-f]+/)
    expect(response.headers.get('x-linked-etag')).to.equal(`"${digests['model.safetensors']}"`)
    expect(response.headers.get('x-linked-size')).to.equal('90868376')
    const head = await fetch(url, { method: 'HEAD', redirect: 'manual' })
    expect(head.status).to.equal(200)
    expect(head.headers.get('content-length')).to.equal('90868376')
    expect((await rangeOf(server, 'bytes=0-0')).contentRange).to.equal('bytes 0-0/90868376')
    // Another host name than the bucket's, as in reality: clients follow redirects on one host by themselves.
    await loadModel({ ...server, endpoint: server.endpoint.replace('127.0.0.1', 'localhost') })
    const sent = server.log
      .filter((line) => String(line.path).endsWith('model.safetensors'))
      .map((line) => Number(line.bytes))
    expect(Math.max(...sent)).to.be.lessThan(1000)
    await server.stop()
  })

  it('promotes from a bucket to a directory and back, without the Hub', async () => {
    const directory = join(folder.path, 'promoted')
    const environment = { MIRRORFACE_GCS_ENDPOINT: emulator.url, MIRRORFACE_UPSTREAM_URL: 'http://127.0.0.1:9' }
    const down = await runMirrorFace(
      ['mirror', modelId, '--source', 'gs://models/mirror', '--local-directory', directory],
      environment,
    )
    expect(down.code, down.stderr).to.equal(0)
    expect((await runMirrorFace(['verify', '--local-directory', directory], environment)).code).to.equal(0)
    const up = await runMirrorFace(
      ['mirror', modelId, '--source', directory, '--gcs-bucket', 'models/copy'],
      environment,
    )
    expect(up.code, up.stderr).to.equal(0)
    const verified = await runMirrorFace(['verify', '--gcs-bucket', 'models/copy'], environment)
    expect(verified.stdout, verified.stderr).to.match(/^sound: 1 repositories/)
  })
})
