import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { partSize } from '../../../src/transfer/part-memory.ts'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../../support/processes.ts'

describe('mirrorface mirror', () => {
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const weights = syntheticContent(30_000_000, 7)

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  const mirrorface = (...args: string[]) =>
    runMirrorFace([...args, '--local-directory', folder.path], { MIRRORFACE_UPSTREAM_URL: hub.url })
  const files = async () =>
    (await readdir(folder.path, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  const result = (stdout: string) => JSON.parse(stdout)[0]

  function addModel() {
    const repository = hub.add({ type: 'model', id: 'org/model' })
    repository.commit({ 'config.json': '{}', 'model.safetensors': weights, 'README.md': 'one' })
    return repository
  }

  it('fetches a repository, and the second time nothing', async () => {
    addModel()
    const first = await mirrorface('mirror', 'org/model', '--json')
    expect(first.code, first.stderr).to.equal(0)
    expect(result(first.stdout)).to.include({ downloadedFiles: 3, downloadedBytes: 30_000_005, files: 3 })
    const before = hub.requests.length
    const second = await mirrorface('mirror', 'org/model', '--json')
    expect(result(second.stdout)).to.include({ downloadedFiles: 0, downloadedBytes: 0, files: 3 })
    expect(
      hub.requests.slice(before).filter(({ url, server }) => server === 'cdn' || url.includes('/resolve')),
    ).to.deep.equal([])
  })

  it('fetches only what changed when a branch has moved', async () => {
    const repository = addModel()
    await mirrorface('mirror', 'org/model')
    repository.commit({ 'config.json': '{}', 'model.safetensors': weights, 'README.md': 'two' })
    expect(result((await mirrorface('mirror', 'org/model', '--json')).stdout)).to.include({
      downloadedFiles: 1,
      downloadedBytes: 3,
    })
  })

  it('keeps one copy of a blob that two repositories share', async () => {
    addModel()
    hub.add({ type: 'model', id: 'org/copy' }).commit({ 'other-name.safetensors': weights })
    const finished = await mirrorface('mirror', 'org/model', 'org/copy', '--json')
    expect(JSON.parse(finished.stdout)[1]).to.include({ downloadedFiles: 0 })
    expect((await files()).filter((path) => path.includes(weights.sha256))).to.have.length(1)
  })

  it('takes globs, revisions, types, and --repository', async () => {
    const repository = addModel()
    repository.tags.set('v1', repository.branches.get('main') ?? '')
    hub.add({ type: 'dataset', id: 'squad' }).commit({ 'a/train.json': '[]', 'b.txt': 'b' })
    const model = await mirrorface(
      'mirror',
      '--repository',
      'org/model',
      '--revision',
      'v1',
      '--exclude',
      '*.safetensors',
      '--json',
    )
    expect(result(model.stdout)).to.include({ files: 2, revision: 'v1' })
    const completed = await mirrorface('mirror', 'org/model', '--json')
    expect(result(completed.stdout)).to.include({ files: 3, downloadedFiles: 1 })
    const dataset = await mirrorface('mirror', 'squad', '--type', 'dataset', '--include', '*.json', '--json')
    expect(result(dataset.stdout)).to.include({ files: 1 })
  })

  it('fetches nothing in a dry run', async () => {
    addModel()
    const finished = await mirrorface('mirror', 'org/model', '--dry-run')
    expect(finished.stdout).to.match(/would fetch model\.safetensors \(28\.6 MiB\)/)
    expect(await files()).to.deep.equal([])
  })

  it('reads a private repository with a token', async () => {
    hub.add({ type: 'model', id: 'org/secret', private: true }).commit({ 'w.safetensors': weights })
    const finished = await mirrorface('mirror', 'org/secret', '--token', 'hf_valid')
    expect(finished.code, finished.stderr).to.equal(0)
    expect(hub.requestsOf('cdn').every(({ headers }) => headers.authorization === undefined)).to.equal(true)
    const stored = await Promise.all(
      (await files()).filter((path) => path.endsWith('.json')).map((path) => readFile(path, 'utf8')),
    )
    expect(stored.join()).to.not.include('hf_valid')
  })

  it('goes on where a connection broke, and obeys Retry-After', async () => {
    addModel()
    const faults = [
      { kind: 'reset', after: 1_000_000 },
      { kind: 'status', status: 503, headers: { 'Retry-After': '0' } },
      { kind: 'status', status: 429, headers: { 'Retry-After': '1' } },
      { kind: 'reset', after: 3_000_000 },
    ] as const
    let next = 0
    hub.faults = ({ server }) => (server === 'cdn' ? faults[next++] : undefined)
    const finished = await mirrorface('mirror', 'org/model')
    expect(finished.code, finished.stderr).to.equal(0)
    expect((await mirrorface('verify')).code).to.equal(0)
    const sent = hub.requestsOf('cdn').map(({ headers }) => headers.range)
    // Which part meets the fault is chance; it goes on a million bytes into that part.
    const starts = sent.map((range) => Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1]))
    expect(starts.some((start) => start % partSize === 1_000_000)).to.equal(true)
  })

  it('asks the Hub once for a large file, and again when the signed URL has expired', async () => {
    const parts = 20
    const large = syntheticContent(parts * partSize, 8)
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'large.safetensors': large })
    let served = 0
    hub.faults = ({ server }) =>
      server === 'cdn' && served++ === parts / 2 ? { kind: 'status', status: 403 } : undefined
    expect((await mirrorface('mirror', 'org/model')).code).to.equal(0)
    expect((await mirrorface('verify')).code).to.equal(0)
    const asked = hub.requestsOf('hub').filter(({ url }) => url.includes('/resolve/'))
    // The first parts begin together, and so do those that meet the refusal.
    expect(asked.length).to.be.within(2, parts / 2)
    expect(hub.requestsOf('cdn').length).to.equal(parts + 1)
  })

  it('keeps no wrong bytes (fault 4)', async () => {
    addModel()
    hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'corrupt' } : undefined)
    const finished = await mirrorface('mirror', 'org/model')
    expect(finished.code).to.equal(1)
    expect(finished.stderr).to.match(/expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}/)
    expect(
      (await files()).filter((path) => path.includes('/repositories/') || path.includes(weights.sha256)),
    ).to.deep.equal([])
  })

  it('keeps no wrong bytes of a regular file either', async () => {
    hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{"right":1}' })
    hub.faults = ({ url }) => (url.includes('resolve-cache') ? { kind: 'corrupt' } : undefined)
    const finished = await mirrorface('mirror', 'org/model')
    expect(finished.stderr).to.match(/config\.json: expected git blob/)
  })

  it('follows a repository that was renamed', async () => {
    addModel()
    hub.renamed.set('models/old/name', 'org/model')
    const finished = await mirrorface('mirror', 'old/name')
    expect(finished.code, finished.stderr).to.equal(0)
  })

  it('mirrors thousands of files over many pages', async () => {
    hub.treePageSize = 300
    hub
      .add({ type: 'model', id: 'org/many' })
      .commit(Object.fromEntries(Array.from({ length: 1500 }, (_, index) => [`d${index % 7}/${index}`, String(index)])))
    const finished = await mirrorface('mirror', 'org/many', '--json', '--concurrency', '16')
    expect(result(finished.stdout)).to.include({ files: 1500 })
  })

  it('mirrors an empty repository and empty files', async () => {
    hub.add({ type: 'model', id: 'org/empty' }).commit({})
    hub.add({ type: 'model', id: 'org/hollow' }).commit({ a: '', 'b.bin': '' })
    expect((await mirrorface('mirror', 'org/empty', 'org/hollow')).code).to.equal(0)
    expect((await mirrorface('verify')).code).to.equal(0)
  })

  for (const [what, args, code, message] of [
    ['a bad repository name', ['mirror', 'a--b'], 2, /"a--b" is not a repository: expected namespace\/name/],
    [
      'a repository that does not exist',
      ['mirror', 'org/nowhere'],
      1,
      /model org\/nowhere does not exist, or is private/,
    ],
    ['an unknown revision', ['mirror', 'org/model', '--revision', 'v9'], 1, /model org\/model has no revision v9/],
    ['a bad revision', ['mirror', 'org/model', '--revision', 'a..b'], 2, /"a\.\.b" is not a revision/],
    ['a wrong token', ['mirror', 'org/model', '--token', 'hf_wrong'], 1, /does not accept the token/],
    ['an unknown flag', ['mirror', 'org/model', '--bogus'], 2, /Nonexistent flag: --bogus/],
    [
      'a wrong type',
      ['mirror', 'org/model', '--type', 'kernel'],
      2,
      /Expected --type=kernel to be one of: model, dataset, space/,
    ],
    ['no repository', ['mirror'], 2, /name a repository/],
    ['a gated repository', ['mirror', 'org/gated'], 1, /model org\/gated is gated: accept its conditions/],
  ] as const) {
    it(`says what is wrong with ${what} (fault 21)`, async () => {
      addModel()
      hub.add({ type: 'model', id: 'org/gated', gated: true }).commit({ 'a.txt': 'x' })
      const finished = await mirrorface(...args)
      expect(finished.stderr).to.match(message)
      expect(
        finished.stderr
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('mirrorface:')),
      ).to.have.length(1)
      expect(finished.stderr).to.not.match(/^\s+at /m)
      expect(finished.code).to.equal(code)
      expect((await files()).filter((path) => path.includes('/repositories/'))).to.deep.equal([])
    })
  }

  it('says when the Hub cannot be reached (fault 21)', async () => {
    await hub.stop()
    const finished = await runMirrorFace(
      ['mirror', 'org/model', '--local-directory', folder.path, '--upstream-url', 'http://127.0.0.1:9'],
      {},
    )
    expect(finished.code).to.equal(1)
    expect(finished.stderr).to.match(/http:\/\/127\.0\.0\.1:9 cannot be reached: .*(?:ECONNREFUSED|bad port)/)
  }).timeout(60_000)

  it('says when the directory may not be written (fault 21)', async () => {
    if (process.getuid?.() === 0) {
      // Root may write anywhere but where the kernel itself refuses.
      const finished = await runMirrorFace(['mirror', 'org/model', '--local-directory', '/sys/mirrorface'], {
        MIRRORFACE_UPSTREAM_URL: hub.url,
      })
      expect(finished.stderr).to.match(/storage local is unavailable: no permission for \/sys\/mirrorface/)
      expect(finished.code).to.equal(1)
      return
    }
    const locked = join(folder.path, 'locked')
    await mkdir(locked)
    await chmod(locked, 0o500)
    const finished = await runMirrorFace(['mirror', 'org/model', '--local-directory', join(locked, 'x')], {
      MIRRORFACE_UPSTREAM_URL: hub.url,
    })
    expect(finished.stderr).to.match(/no permission for/)
  })

  it('says when the directory is of a layout to come', async () => {
    addModel()
    await writeFile(join(folder.path, 'mirrorface.json'), '{"layout": 4}')
    const finished = await mirrorface('mirror', 'org/model')
    expect(finished.stderr).to.match(
      /mirrorface\.json has layout 4, and this version reads layouts up to 3: upgrade MirrorFace/,
    )
    expect(finished.code).to.equal(1)
  })
})
