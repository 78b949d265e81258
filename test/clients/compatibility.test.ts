import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { StandInHub } from '../hub/index.ts'
import { addModel, modelFolder, modelId, pythonOf } from '../support/model.ts'
import { run, runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

interface HubCheck {
  snapshot: Record<string, string>
  local_dir: Record<string, string>
  tag: string
  sha: string
  siblings: Record<string, number>
  tree: Record<string, number | null>
  paths_info: string[]
  refs: Record<string, string>
  file_exists: boolean[]
  commits: string[]
  absent: string
}

describe('real clients', function () {
  this.timeout(180_000)
  const hub = new StandInHub()
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let digests: Record<string, string>
  let sizes: Record<string, number>
  let commit: string
  let refs: Record<string, string>

  before(async () => {
    folder = await temporaryFolder()
    await hub.start()
    const repository = await addModel(hub)
    commit = repository.branches.get('main') ?? ''
    refs = { main: commit, v1: commit }
    const files = [...(repository.commits.get(commit)?.files.values() ?? [])]
    digests = Object.fromEntries(files.map((file) => [file.path, file.content.sha256]))
    sizes = Object.fromEntries(files.map((file) => [file.path, file.content.size]))
    expect(digests['config.json']).to.equal(
      createHash('sha256')
        .update(await readFile(join(modelFolder, 'config.json')))
        .digest('hex'),
    )
    const mirrored = await runMirrorFace(
      ['mirror', modelId, '--revision', 'main', '--revision', 'v1', '--local-directory', join(folder.path, 'mirrored')],
      { MIRRORFACE_UPSTREAM_URL: hub.url },
    )
    expect(mirrored.code, mirrored.stderr).to.equal(0)
  })

  after(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const situations = [
    { name: 'mirrored, with the Hub switched off', storage: 'mirrored', hubOn: false },
    { name: 'not mirrored, with the Hub on', storage: 'empty', hubOn: true },
  ]
  for (const { name, storage, hubOn } of situations) {
    describe(name, () => {
      let server: ServerProcess
      let requestsBefore: number

      before(async () => {
        if (!hubOn) await hub.stop()
        requestsBefore = hub.requests.length
        server = await startMirrorFace(['--local-directory', join(folder.path, storage), '--upstream-url', hub.url])
      })

      after(async () => {
        await server.stop()
        // Switched off it can't count; mirrored with the Hub on is counted in the next block.
        if (hubOn) expect(hub.requests.length).to.be.greaterThan(requestsBefore)
        else await hub.start()
      })

      for (const environment of ['hub-0.36', 'hub-1', 'hub-2']) {
        it(`Python huggingface_hub (${environment})`, async () => {
          await using home = await temporaryFolder()
          const finished = await run(pythonOf(environment), [here('huggingface_hub_check.py'), modelId], {
            HF_ENDPOINT: server.endpoint,
            HF_HOME: home.path,
            HF_HUB_DISABLE_TELEMETRY: '1',
          })
          expect(finished.code, finished.stderr).to.equal(0)
          const result: HubCheck = JSON.parse(finished.stdout)
          expect(result.snapshot).to.deep.equal(digests)
          expect(result.local_dir).to.deep.equal(digests)
          expect(result.tag).to.equal(digests['config.json'])
          expect(result.sha).to.equal(commit)
          expect(result.siblings).to.deep.equal(sizes)
          expect(result.tree).to.deep.equal({ ...sizes, '1_Pooling': null })
          expect(result.paths_info).to.deep.equal(['config.json', '1_Pooling'])
          expect(result.refs).to.deep.equal(refs)
          expect(result.file_exists).to.deep.equal([true, false])
          expect(result.commits).to.deep.equal(['Add the model', 'Begin'])
          expect(result.absent).to.match(/EntryNotFoundError$/)
        })
      }

      it('transformers: configuration, tokenizer, weights', async () => {
        await using home = await temporaryFolder()
        const finished = await run(pythonOf('hub-2'), [here('transformers_check.py'), modelId], {
          HF_ENDPOINT: server.endpoint,
          HF_HOME: home.path,
        })
        expect(finished.code, finished.stderr).to.equal(0)
        const result = JSON.parse(finished.stdout)
        expect(result.hidden_size).to.equal(384)
        expect(result.tokens).to.deep.equal([101, 5259, 1010, 5259, 2006, 1996, 2813, 102])
        expect(result.words).to.deep.equal([30522, 384])
      })

      it('@huggingface/hub: listFiles, downloadFile, pathsInfo, snapshotDownload', async () => {
        await using cache = await temporaryFolder()
        const finished = await run(process.execPath, [
          here('huggingface-hub-js.ts'),
          modelId,
          server.endpoint,
          cache.path,
        ])
        expect(finished.code, finished.stderr).to.equal(0)
        const result = JSON.parse(finished.stdout.trim().split('\n').at(-1) ?? '')
        expect(result.files).to.deep.equal(sizes)
        expect(result.weights).to.equal(digests['model.safetensors'])
        expect(result.snapshot).to.equal(digests['model.safetensors'])
        expect(result.config).to.equal(digests['config.json'])
        expect(result.absent).to.equal(true)
        expect(result.paths).to.deep.equal(['config.json'])
      })
    })
  }

  it('asks the Hub nothing for a mirrored repository', async () => {
    await using home = await temporaryFolder()
    const server = await startMirrorFace([
      '--local-directory',
      join(folder.path, 'mirrored'),
      '--upstream-url',
      hub.url,
    ])
    const requestsBefore = hub.requests.length
    const finished = await run(pythonOf('hub-2'), [here('huggingface_hub_check.py'), modelId], {
      HF_ENDPOINT: server.endpoint,
      HF_HOME: home.path,
      HF_HUB_DISABLE_TELEMETRY: '1',
    })
    await server.stop()
    expect(finished.code, finished.stderr).to.equal(0)
    expect(hub.requests.slice(requestsBefore)).to.deep.equal([])
  })
})
