import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Storage as GoogleStorage } from '@google-cloud/storage'
import { expect } from 'chai'
import { mountBucket, startGcsEmulator } from '../support/emulator.ts'
import { modelFolder, modelId, pythonOf } from '../support/model.ts'
import { run, startMirrorFace, temporaryFolder } from '../support/processes.ts'

const digestOf = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex')

describe('a bucket of the Python MirrorFace', function () {
  this.timeout(120_000)

  it('is served after an upgrade with only the image changed: the same mount, the same variable', async () => {
    await using emulator = await startGcsEmulator()
    await emulator.makeBucket('old')
    const bucket = new GoogleStorage({ apiEndpoint: emulator.url, projectId: 'x' }).bucket('old')
    const put = (name: string, bytes: Buffer | string) => bucket.file(name).save(bytes, { resumable: false })
    const commit = 'd'.repeat(40)
    const files: Record<string, string> = {}
    const expected: Record<string, string> = {}
    for (const entry of await readdir(modelFolder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes('__pycache__')) continue
      const path = join(entry.parentPath, entry.name)
      const bytes = await readFile(path)
      const name = relative(modelFolder, path)
      files[name] = digestOf('sha512', bytes)
      expected[name] = digestOf('sha256', bytes)
      await put(`blob/${files[name]}`, bytes)
    }
    const prefix = `manifest/${modelId.replace('/', '--')}__`
    await put(
      `${prefix}${commit}.json`,
      JSON.stringify({ manifest: { manifest_type: 'full', revision_hash: commit, files } }),
    )
    await put(`${prefix}main.json`, JSON.stringify({ manifest: { manifest_type: 'redirect', revision_hash: commit } }))

    await using mount = await mountBucket(emulator.url, 'old')
    const server = await startMirrorFace(['--upstream-url', 'http://127.0.0.1:9'], {
      MIRRORFACE_LOCAL_DIRECTORY: mount.path,
    })
    await using home = await temporaryFolder()
    const folder = join(home.path, 'model')
    const code = `from huggingface_hub import snapshot_download; snapshot_download("${modelId}", local_dir="${folder}")`
    const finished = await run(pythonOf('hub-2'), ['-c', code], { HF_ENDPOINT: server.endpoint, HF_HOME: home.path })
    await server.stop()
    expect(finished.code, finished.stderr + server.output()).to.equal(0)
    const found: Record<string, string> = {}
    for (const name of Object.keys(expected)) found[name] = digestOf('sha256', await readFile(join(folder, name)))
    expect(found).to.deep.equal(expected)
  })
})
