import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { ggufOf } from '../../support/gguf.ts'
import { startMirrorFace } from '../../support/processes.ts'
import { type Stage, setStage } from '../../support/server.ts'

const template =
  "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>'}}{% endfor %}"
const models = { Q4_K_M: ggufOf({ template, weights: 40_000 }), Q8_0: ggufOf({ template, weights: 80_000 }) }
const projector = ggufOf({ architecture: 'clip' })
const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

interface Layer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

async function manifestOf(stage: Stage, tag: string, headers: Record<string, string> = {}) {
  const response = await stage.get(`/v2/org/model/manifests/${tag}`, { headers })
  const text = await response.text()
  return { response, text, json: JSON.parse(text) }
}

async function mirroredStage(args: readonly string[] = [], files: Record<string, Buffer> = {}): Promise<Stage> {
  const stage = await setStage((hub) => {
    hub.add({ type: 'model', id: 'org/model' }).commit({
      'm-Q4_K_M.gguf': models.Q4_K_M,
      'm-Q8_0.gguf': models.Q8_0,
      'mmproj-F16.gguf': projector,
      'README.md': Buffer.from('# Model'),
      ...files,
    })
  }, args)
  await stage.mirror('org/model')
  await stage.hub.stop()
  return stage
}

describe('the registry of images, of a mirrored GGUF repository with the Hub off', function () {
  this.timeout(60_000)

  it('gives an image whose every layer is the content that its digest says, asked of a server that never made it', async () => {
    await using stage = await mirroredStage()
    for (const [tag, model] of [
      ['latest', models.Q4_K_M],
      ['q8_0', models.Q8_0],
      ['m-Q8_0.gguf', models.Q8_0],
    ] as const) {
      const { response, text, json } = await manifestOf(stage, tag)
      expect(response.status).to.equal(200)
      expect(response.headers.get('content-type')).to.equal(json.mediaType)
      expect(response.headers.get('docker-content-digest')).to.equal(digestOf(Buffer.from(text)))
      expect((await manifestOf(stage, tag)).text, 'the same bytes each time').to.equal(text)
      const layers: Layer[] = [json.config, ...json.layers]
      expect(
        json.layers.map(({ mediaType }: Layer) => mediaType.replace('application/vnd.ollama.image.', '')),
      ).to.deep.equal(['model', 'projector', 'template', 'params'])
      expect(json.layers[0].digest).to.equal(digestOf(model))
      // Another pod, or a worker, that has not read any header yet.
      const other = await startMirrorFace(['--local-directory', stage.directory, '--offline', '--workers', '2'])
      try {
        for (const { digest, size } of layers) {
          const blob = await fetch(`${other.endpoint}/v2/org/model/blobs/${digest}`)
          expect(blob.status).to.equal(200)
          const bytes = Buffer.from(await blob.arrayBuffer())
          expect([bytes.length, digestOf(bytes)]).to.deep.equal([size, digest])
          const part = await fetch(`${other.endpoint}/v2/org/model/blobs/${digest}`, {
            headers: { range: 'bytes=1-3' },
          })
          expect([part.status, Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1, 4))]).to.deep.equal([
            206,
            true,
          ])
          const head = await fetch(`${other.endpoint}/v2/org/model/blobs/${digest}`, { method: 'HEAD' })
          expect([head.status, head.headers.get('content-length')]).to.deep.equal([200, String(size)])
        }
      } finally {
        await other.stop()
      }
    }
  })

  it("tells llama.cpp the files' names, and nobody else gets what was told to it", async () => {
    await using stage = await mirroredStage([], { 'big/m-F16-00001-of-00002.gguf': models.Q8_0 })
    const llama = { 'user-agent': 'llama-cpp' }
    const named = await manifestOf(stage, 'Q4_K_M', llama)
    expect(named.json.ggufFile).to.deep.include({ rfilename: 'm-Q4_K_M.gguf', blobId: digestOf(models.Q4_K_M) })
    expect(named.json.mmprojFile).to.include({ rfilename: 'mmproj-F16.gguf' })
    expect((await manifestOf(stage, 'Q4_K_M', { 'user-agent': 'ollama/0.6' })).json).not.to.have.property('ggufFile')
    expect((await manifestOf(stage, 'Q4_K_M', llama)).json).to.have.property('ggufFile')
    const sharded = await manifestOf(stage, 'f16', llama)
    expect(sharded.json.ggufFile.rfilename).to.equal('big/m-F16-00001-of-00002.gguf')
    const refused = await manifestOf(stage, 'f16')
    expect(refused.response.status).to.equal(400)
    expect(refused.json.error).to.match(/several parts/)
  })

  it("takes a repository's own template, system text, parameters and licence", async () => {
    const own = {
      template: Buffer.from('{{ .Prompt }}'),
      system: Buffer.from('Be brief.'),
      params: Buffer.from('{"temperature":0.5}'),
      LICENSE: Buffer.from('Apache'),
    }
    await using stage = await mirroredStage([], own)
    const { json } = await manifestOf(stage, 'latest')
    for (const [kind, bytes] of Object.entries(own)) {
      const layer = json.layers.find(({ mediaType }: Layer) => mediaType.endsWith(`.${kind.toLowerCase()}`))
      expect(layer, kind).to.include({ digest: digestOf(bytes), size: bytes.length })
      expect(await (await stage.get(`/v2/org/model/blobs/${layer.digest}`)).text()).to.equal(bytes.toString())
    }
  })

  it('names what is wrong: a tag, a digest, a file that is no GGUF', async () => {
    await using stage = await mirroredStage(['--offline'], { 'broken-Q2_K.gguf': Buffer.from('no GGUF at all') })
    const unknown = await manifestOf(stage, 'Q3_K_S')
    expect([unknown.response.status, unknown.json.error]).to.deep.equal([
      400,
      'no GGUF of the repository is called, or quantised as, Q3_K_S: it has Q2_K, Q4_K_M, Q8_0',
    ])
    const broken = await manifestOf(stage, 'Q2_K')
    expect(broken.response.status).to.equal(422)
    expect(broken.json.error).to.match(/the GGUF header of broken-Q2_K\.gguf can't be read: /)
    const missing = await stage.get(`/v2/org/model/blobs/sha256:${'0'.repeat(64)}`)
    expect(missing.status).to.equal(404)
    expect((await manifestOf(stage, 'Q8_0')).response.status, 'the others are not affected').to.equal(200)
  })

  it('obeys the policy as every other route of the repository does', async () => {
    await using stage = await mirroredStage()
    expect((await stage.get('/v2/org/model/manifests/latest')).status).to.equal(200)
    const closed = await startMirrorFace(['--local-directory', stage.directory, '--offline', '--deny', 'org/**'])
    try {
      for (const path of ['manifests/latest', `blobs/${digestOf(models.Q8_0)}`])
        expect((await fetch(`${closed.endpoint}/v2/org/model/${path}`)).status, path).to.equal(403)
    } finally {
      await closed.stop()
    }
  })
})
