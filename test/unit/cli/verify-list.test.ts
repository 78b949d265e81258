import { appendFile, mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { StandInHub, syntheticContent } from '../../hub/index.ts'
import { runMirrorFace, temporaryFolder } from '../../support/processes.ts'

describe('mirrorface verify and list', () => {
  const weights = syntheticContent(5 * 1024 * 1024, 3)
  let hub: StandInHub
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const mirrorface = (...args: string[]) =>
    runMirrorFace([...args, '--local-directory', folder.path], { MIRRORFACE_UPSTREAM_URL: hub.url })
  const blob = () => join(folder.path, 'blobs/sha256', weights.sha256.slice(0, 2), weights.sha256)
  const repositoryFolder = () => join(folder.path, 'repositories/models--org--model')
  const manifest = async () =>
    join(repositoryFolder(), 'commits', (await readdir(join(repositoryFolder(), 'commits')))[0] ?? '')

  beforeEach(async () => {
    hub = await new StandInHub().start()
    folder = await temporaryFolder()
    const repository = hub.add({ type: 'model', id: 'org/model' })
    repository.commit({ 'config.json': '{}', 'model.safetensors': weights })
    repository.tags.set('v1', repository.branches.get('main') ?? '')
    expect((await mirrorface('mirror', 'org/model', '--revision', 'main', '--revision', 'v1')).code).to.equal(0)
  })
  afterEach(async () => {
    await hub.stop()
    await folder[Symbol.asyncDispose]()
  })

  it('finds nothing wrong with what is sound', async () => {
    const finished = await mirrorface('verify')
    expect(finished.code).to.equal(0)
    expect(finished.stdout).to.equal('sound: 1 repositories, 1 manifests, 2 refs, 2 blobs (5 MiB)\n')
    expect((await mirrorface('verify', 'org/model')).code).to.equal(0)
  })

  async function flipBit() {
    const file = await open(blob(), 'r+')
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 2_500_000)
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, 2_500_000)
    await file.close()
  }

  for (const [kind, spoil, quick] of [
    ['missing blob', () => rm(blob()), true],
    ['wrong size', () => truncate(blob(), 1000), true],
    ['wrong content', flipBit, false],
    ['damaged manifest', async () => truncate(await manifest(), 200), true],
    ['damaged manifest', async () => writeFile(await manifest(), '{"layout": 2, "unknown": true}'), true],
    ['unknown layout', async () => writeFile(await manifest(), '{"layout": 99}'), true],
    ['damaged ref', () => appendFile(join(repositoryFolder(), 'refs/main.json'), '}'), true],
    [
      'dangling ref',
      () =>
        writeFile(
          join(repositoryFolder(), 'refs/main.json'),
          JSON.stringify({ commit: 'b'.repeat(40), kind: 'branch', updatedAt: new Date().toISOString() }),
        ),
      true,
    ],
    ['unknown object', () => writeFile(join(repositoryFolder(), 'refs/x.tmp'), ''), true],
  ] as const) {
    it(`finds a ${kind}, and says where (fault 4)`, async () => {
      await spoil()
      const finished = await mirrorface('verify', '--json')
      expect(finished.code).to.equal(1)
      const report = JSON.parse(finished.stdout)
      expect(report.problems).to.have.length(1)
      expect(report.problems[0].kind).to.equal(kind)
      if (kind.endsWith('blob') || kind.startsWith('wrong')) {
        expect(report.problems[0]).to.include({ repository: 'org/model', path: 'model.safetensors' })
        expect(report.problems[0].expected).to.be.a('string')
      }
      const text = await mirrorface('verify')
      expect(text.stdout).to.match(new RegExp(`^${kind}: `))
      expect((await mirrorface('verify', '--quick')).code).to.equal(quick ? 1 : 0)
    })
  }

  it('takes away nothing that a person or a newer version may have put there, also when it repairs (fault 4)', async () => {
    const [note, newer] = [join(repositoryFolder(), 'refs/note.txt'), await manifest()]
    await writeFile(note, 'mine')
    await writeFile(newer, '{"layout": 99}')
    const repaired = await mirrorface('verify', '--repair')
    expect(repaired.code).to.equal(1)
    expect(repaired.stdout.match(/not healed: .* is not of this layout/g)).to.have.length(2)
    expect(await readFile(note, 'utf8')).to.equal('mine')
    expect(await readFile(newer, 'utf8')).to.equal('{"layout": 99}')
    const marker = join(folder.path, 'mirrorface.json')
    await writeFile(marker, '{"layout": 4}')
    const refused = await mirrorface('verify', '--repair')
    expect(refused.code).to.equal(2)
    expect(refused.stderr).to.match(/upgrade MirrorFace/)
    expect(await readFile(marker, 'utf8')).to.equal('{"layout": 4}')
  })

  for (const [what, spoil, path] of [
    ['a damaged manifest', async () => truncate(await manifest(), 200), manifest],
    ['wrong content', flipBit, async () => blob()],
  ] as const) {
    it(`takes ${what} away only when the source has an answer (fault 4)`, async () => {
      await spoil()
      const before = await readFile(await path())
      await hub.stop()
      const failed = await mirrorface('verify', '--repair')
      expect(failed.code).to.equal(1)
      expect(failed.stdout).to.match(/not healed: .*cannot be reached/)
      expect((await readFile(await path())).equals(before)).to.equal(true)
      await hub.start()
      expect((await mirrorface('verify', '--repair')).stdout).to.match(/\(healed\)/)
      expect((await mirrorface('verify')).stdout).to.match(/^sound/)
    }).timeout(60_000)
  }

  it('heals a marker that is damaged (fault 4)', async () => {
    const marker = join(folder.path, 'mirrorface.json')
    await writeFile(marker, '{"lay')
    expect((await mirrorface('verify')).stdout).to.match(/^damaged marker: mirrorface\.json/)
    expect((await mirrorface('verify', '--repair')).code).to.equal(0)
    expect(JSON.parse(await readFile(marker, 'utf8'))).to.deep.equal({ layout: 3 })
  })

  it('reports orphans without calling them wrong', async () => {
    const orphan = `${'0'.repeat(63)}1`
    await mkdir(join(folder.path, 'blobs/sha256/00'), { recursive: true })
    await writeFile(join(folder.path, 'blobs/sha256/00', orphan), 'orphan')
    const finished = await mirrorface('verify')
    expect(finished.code).to.equal(0)
    expect(finished.stdout).to.match(/^1 blobs belong to no manifest \(6 B\)/)
  })

  it('exits with 2 where it could not check', async () => {
    const finished = await runMirrorFace(['verify', '--local-directory', '/proc/1/x'])
    expect(finished.code).to.equal(2)
  })

  it('lists repositories, refs, sizes and files', async () => {
    hub.add({ type: 'model', id: 'org/copy' }).commit({ 'w.safetensors': weights })
    await mirrorface('mirror', 'org/copy')
    const text = await mirrorface('list')
    expect(text.stdout).to.match(/^REPOSITORY\s+COMMIT\s+REFS\s+FILES\s+SIZE\s+MIRRORED\n/)
    expect(text.stdout).to.match(/^org\/model\s+[0-9a-f]{12}\s+main, v1\s+2\s+5 MiB\s+\d{4}-\d\d-\d\d/m)
    expect(text.stdout).to.match(/2 repositories, 5 MiB \(shared blobs counted once\)/)
    const listed = JSON.parse((await mirrorface('list', 'org/model', '--json', '--files')).stdout)
    expect(listed.repositories[0].revisions[0].fileList[1]).to.include({
      path: 'model.safetensors',
      size: 5 * 1024 * 1024,
      blob: weights.sha256,
    })
    expect((await mirrorface('list', '--files')).stdout).to.match(/model\.safetensors\s+5 MiB\s+[0-9a-f]{64}/)
  })

  it('lists an empty directory', async () => {
    await using empty = await temporaryFolder()
    const finished = await runMirrorFace(['list', '--local-directory', empty.path])
    expect(finished.stdout).to.match(/nothing is mirrored yet/)
    expect(finished.code).to.equal(0)
  })
})
