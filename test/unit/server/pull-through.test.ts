import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../../support/processes.ts'
import { type Stage, setStage } from '../../support/server.ts'

const weights = syntheticContent(40_000_000, 21)
const path = '/org/model/resolve/main/w.safetensors'

describe('pull-through', function () {
  this.timeout(60_000)
  let spool: Awaited<ReturnType<typeof temporaryFolder>>
  beforeEach(async () => {
    spool = await temporaryFolder()
  })
  afterEach(() => spool[Symbol.asyncDispose]())

  const stageWith = (...args: string[]): Promise<Stage> =>
    setStage(
      (hub) => {
        hub
          .add({ type: 'model', id: 'org/model' })
          .commit({ 'config.json': '{"a": 1}', 'empty.txt': '', 'w.safetensors': weights })
        hub.add({ type: 'model', id: 'org/secret', private: true }).commit({ 'config.json': '{"secret": 1}' })
      },
      ['--pull-through', '--spool-directory', spool.path, '--follow-hosts', '127.0.0.2', ...args],
    )
  const sha256Of = async (response: Response) => {
    const hash = createHash('sha256')
    for await (const chunk of response.body ?? []) hash.update(chunk)
    return hash.digest('hex')
  }
  const bytesFromCdn = ({ hub }: Stage) => hub.requestsOf('cdn').length
  const verify = ({ directory }: Stage) => runMirrorFace(['verify', '--local-directory', directory])
  const settled = async (stage: Stage) => {
    for (let attempt = 0; attempt < 100; attempt++) {
      if (stage.server.log.some(({ msg }) => msg === 'pulled' || msg === 'pull failed')) return
      await delay(50)
    }
  }

  it('gives a file to all who ask at once, from one download, and keeps it', async () => {
    await using stage = await stageWith()
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 300 } : undefined)
    const early = Array.from({ length: 60 }, async () => sha256Of(await stage.get(path)))
    await delay(350)
    const late = Array.from({ length: 20 }, async () => sha256Of(await stage.get(path)))
    const ranged = Array.from({ length: 20 }, async (_, index) => {
      const start = index * 1_000_000
      const part = await stage.get(path, { headers: { range: `bytes=${start}-${start + 999}` } })
      expect(part.status).to.equal(206)
      const expected = Buffer.concat(await Array.fromAsync(weights.read(start, start + 999)))
      expect(Buffer.from(await part.arrayBuffer()).equals(expected)).to.equal(true)
    })
    for (const sum of await Promise.all([...early, ...late])) expect(sum).to.equal(weights.sha256)
    await Promise.all(ranged)
    await settled(stage)
    const ranges = stage.hub.requestsOf('cdn').map(({ headers }) => headers.range)
    expect(new Set(ranges).size, 'no byte is asked for twice').to.equal(ranges.length)
    const before = bytesFromCdn(stage)
    expect(await sha256Of(await stage.get(path))).to.equal(weights.sha256)
    expect(bytesFromCdn(stage)).to.equal(before)
    const checked = await verify(stage)
    expect(checked.stdout, checked.stderr).to.match(/^sound: 1 repositories, 1 manifests, 1 refs, 1 blobs/)
    const listed = JSON.parse((await runMirrorFace(['list', '--json', '--local-directory', stage.directory])).stdout)
    expect(listed.repositories[0].revisions[0]).to.include({ files: 1, leftOut: 2 })
    expect(await readdir(spool.path)).to.deep.equal([])
  })

  it('fetches a content once that several paths and commits want at a time, and keeps it as each of them', async () => {
    await using stage = await stageWith()
    const repository = stage.hub.repositories.get('models/org/model')
    const [first, second] = [weights, weights].map((same, index) =>
      repository?.commit({ [`${index}.txt`]: String(index), 'copy.safetensors': same, 'w.safetensors': same }),
    )
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 300 } : undefined)
    const places = [first, second].flatMap((commit) =>
      ['copy', 'w'].map((name) => `/org/model/resolve/${commit}/${name}.safetensors`),
    )
    const sums = places.map(async (place) => sha256Of(await stage.get(place)))
    expect(await Promise.all(sums)).to.deep.equal(places.map(() => weights.sha256))
    const ranges = stage.hub.requestsOf('cdn').map(({ headers }) => headers.range)
    expect(new Set(ranges).size, 'no byte is asked for twice').to.equal(ranges.length)
    await stage.server.stop()
    const listed = JSON.parse((await runMirrorFace(['list', '--json', '--local-directory', stage.directory])).stdout)
    const files = listed.repositories[0].revisions.map((revision: { files: number }) => revision.files)
    expect(files).to.deep.equal([2, 2])
    expect((await verify(stage)).stdout).to.match(/ 1 blobs/)
  })

  it('answers HEAD itself, with size and ETag and no way past the mirror', async () => {
    await using stage = await stageWith()
    const head = await stage.get(path, { method: 'HEAD' })
    expect(head.status).to.equal(200)
    expect(head.headers.get('content-length')).to.equal('40000000')
    expect(head.headers.get('etag')).to.equal(`"${weights.sha256}"`)
    expect(bytesFromCdn(stage)).to.equal(0)
  })

  it('serves what was pulled when the Hub is down, under its branch too', async () => {
    await using stage = await stageWith()
    for (const name of ['config.json', 'empty.txt']) {
      const answer = await stage.get(`/org/model/resolve/main/${name}`)
      expect(answer.status).to.equal(200)
      await answer.arrayBuffer()
    }
    await settled(stage)
    await delay(300)
    await stage.hub.stop()
    await delay(400)
    const again = await stage.get('/org/model/resolve/main/config.json')
    expect(again.status).to.equal(200)
    expect(await again.text()).to.equal('{"a": 1}')
    expect((await stage.get('/org/model/resolve/main/empty.txt')).status).to.equal(200)
    expect((await stage.get(path)).status).to.be.oneOf([502, 503])
  })

  it('sees a branch move', async () => {
    await using stage = await stageWith()
    const read = async () => (await stage.get('/org/model/resolve/main/config.json')).text()
    expect(await read()).to.equal('{"a": 1}')
    stage.hub.repositories.get('models/org/model')?.commit({ 'config.json': '{"a": 2}' })
    // Answers of the Hub are fresh for a second (metadataFreshFor), and so is what was seen of the branch after that.
    await delay(1500)
    expect(await read()).to.equal('{"a": 2}')
  })

  it('keeps no wrong bytes, and gives nobody a whole file of them', async () => {
    await using stage = await stageWith()
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'corrupt' } : undefined)
    const answer = await stage.get(path)
    expect(answer.status).to.equal(200)
    let failure: unknown
    await answer.arrayBuffer().catch((error: unknown) => {
      failure = error
    })
    expect(failure).to.be.instanceOf(Error)
    await settled(stage)
    expect((await runMirrorFace(['list', '--local-directory', stage.directory])).stdout).to.match(
      /nothing is mirrored yet/,
    )
    stage.hub.faults = () => undefined
    expect(await sha256Of(await stage.get(path))).to.equal(weights.sha256)
  })

  it('tells of a download that failed by the id of each request that wanted it, and whose fault it was', async () => {
    await using stage = await stageWith()
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'status', status: 500 } : undefined)
    const ids = ['first-1', 'second-2']
    const answers = await Promise.all(ids.map((id) => stage.get(path, { headers: { 'x-request-id': id } })))
    expect(answers.map(({ status }) => status)).to.deep.equal([302, 302])
    const lineOf = (id: string) =>
      stage.server.log.find(({ request, msg }) => request === id && String(msg).startsWith('pull failed'))
    while (!stage.server.log.some(({ msg }) => msg === 'pull failed') || !ids.every(lineOf)) await delay(25)
    const cdn = stage.hub.requestsOf('cdn')[0]?.headers.host
    for (const id of ids) {
      const line = lineOf(id)
      expect(line?.err, id).to.have.property('stack')
      expect(line?.reason, id).to.match(new RegExp(`leads to content that can't be fetched: ${cdn} answered 500$`))
      expect(line?.reason, id).not.to.match(/cannot be reached/)
    }
    const failed = stage.server.log.filter(({ msg }) => msg === 'pull failed')
    expect(failed.map(({ request }) => request)).to.have.length(1)
    expect(ids).to.include(failed[0]?.request)
  })

  it('goes on when the client that asked first has left', async () => {
    await using stage = await stageWith()
    stage.hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'delay', milliseconds: 200 } : undefined)
    const leaving = new AbortController()
    const first = stage.get(path, { signal: leaving.signal }).catch(() => undefined)
    await delay(100)
    const second = stage.get(path)
    leaving.abort()
    await first
    expect(await sha256Of(await second)).to.equal(weights.sha256)
  })

  it('does not open private repositories to everybody', async () => {
    await using stage = await stageWith()
    const secret = '/org/secret/resolve/main/config.json'
    const mine = await stage.get(secret, { headers: { authorization: 'Bearer hf_valid' } })
    expect(mine.status).to.be.oneOf([200, 307])
    await mine.arrayBuffer()
    expect((await stage.get(secret)).status).to.equal(401)
    expect((await runMirrorFace(['list', '--local-directory', stage.directory])).stdout).to.match(
      /nothing is mirrored yet/,
    )
  })

  it('needs a storage that can be written to', async () => {
    const finished = await runMirrorFace([
      'serve',
      '--pull-through',
      '--gcs-mount',
      '/mnt',
      '--port',
      '0',
      '--metrics-port',
      '0',
    ])
    expect(finished.stderr).to.match(/pullThrough: none of the storages can be written to/)
    expect(finished.code).to.equal(2)
  })
})
