import { createHash } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Content, syntheticContent } from '../hub/index.ts'
import { runMirrorFace } from '../support/processes.ts'
import { setStage } from '../support/server.ts'
import { expectCalm } from './watch.ts'

describe('names, sizes and ranges at the edges', () => {
  it('repositories and revisions at the edges of the grammar are mirrored and served (fault 22)', async () => {
    const names = ['gpt2', 'a/b', 'org.with-dots_and/name.v1.0', `${'n'.repeat(40)}/${'m'.repeat(55)}`, '0/0']
    await using stage = await setStage((hub) => {
      for (const id of names) {
        const repository = hub.add({ type: 'model', id })
        const first = repository.commit({ 'a.txt': `${id} main` })
        repository.commit({ 'a.txt': 'slash' }, { branch: 'feature/with/slashes' })
        repository.commit({ 'a.txt': 'pr' }, { ref: 'refs/pr/7' })
        repository.tags.set('v1.0', first)
        repository.tags.set('same', first)
        repository.commit({ 'a.txt': 'same branch' }, { branch: 'same' })
      }
    })
    for (const id of names) {
      await stage.mirror(
        id,
        '--revision',
        'main',
        '--revision',
        'feature/with/slashes',
        '--revision',
        'refs/pr/7',
        '--revision',
        'v1.0',
        '--revision',
        'same',
      )
    }
    await stage.hub.stop()
    for (const id of names) {
      const read = async (revision: string) => (await stage.get(`/${id}/resolve/${revision}/a.txt`)).text()
      expect(await read('main')).to.equal(`${id} main`)
      expect(await read('feature%2Fwith%2Fslashes')).to.equal('slash')
      expect(await read('refs%2Fpr%2F7')).to.equal('pr')
      expect(await read('v1.0')).to.equal(`${id} main`)
      expect(await read('same')).to.be.oneOf(['same branch', `${id} main`])
      const { sha } = (await (await stage.get(`/api/models/${id}`)).json()) as { sha: string }
      expect(await read(sha.slice(0, 8))).to.equal(`${id} main`)
    }
    await expectCalm(stage.server)
  })

  it('file names of every kind are mirrored and served byte for byte (fault 24)', async () => {
    const names = [
      'with space.txt',
      'quote"\'.txt',
      'hash#.txt',
      'percent%20.txt',
      'question?.txt',
      '.hidden',
      'ünïcode.txt',
      'u\u0308.txt',
      '\u00fc.txt',
      'emoji-🦙.txt',
      '日本語.txt',
      `${'l'.repeat(251)}.txt`,
      `${'deep/'.repeat(30)}file.txt`,
      'semi;colon=a&b+c,d.txt',
      '~tilde.txt',
      'star*.txt',
      '[bracket].txt',
      '-dash.txt',
    ]
    const files = Object.fromEntries(names.map((name, index) => [name, `${index} ${name}`]))
    await using stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit(files)
    })
    await stage.mirror('org/model')
    await stage.hub.stop()
    for (const [name, content] of Object.entries(files)) {
      const answer = await stage.get(`/org/model/resolve/main/${name.split('/').map(encodeURIComponent).join('/')}`)
      expect(answer.status, name).to.equal(200)
      expect(await answer.text(), name).to.equal(content)
      const disposition = answer.headers.get('content-disposition') ?? ''
      expect(decodeURIComponent(/filename\*=UTF-8''([^;]+);/.exec(disposition)?.[1] ?? '')).to.equal(
        name.split('/').at(-1),
      )
    }
    const tree = (await (await stage.get('/api/models/org/model/tree/main?recursive=true')).json()) as {
      type: string
      path: string
    }[]
    expect(tree.filter(({ type }) => type === 'file').map(({ path }) => path)).to.have.members(names)
    await expectCalm(stage.server)
  })

  it('empty files, and those of exactly the sizes of buffers, parts and pages, arrive whole (fault 25)', async () => {
    const sizes = [
      0, 1, 4095, 4096, 65_535, 65_536, 65_537, 524_287, 524_288, 524_289, 1_048_576, 4_194_303, 4_194_304, 4_194_305,
    ]
    const files = Object.fromEntries(
      sizes.map((bytes, index) => [`f-${bytes}.safetensors`, syntheticContent(bytes, index + 1)]),
    ) as Record<string, Content>
    await using stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit(files)
      hub.add({ type: 'model', id: 'org/empty' }).commit({})
    })
    await stage.mirror('org/model')
    await stage.mirror('org/empty')
    await stage.hub.stop()
    for (const [name, { sha256, size }] of Object.entries(files)) {
      const answer = await stage.get(`/org/model/resolve/main/${name}`)
      const bytes = Buffer.from(await answer.arrayBuffer())
      expect(bytes.length).to.equal(size)
      expect(createHash('sha256').update(bytes).digest('hex'), name).to.equal(sha256)
    }
    expect(await (await stage.get('/api/models/org/empty/tree/main')).json()).to.deep.equal([])
    await expectCalm(stage.server)
  })

  it('a file over 4 GiB is served by ranges beyond 2^32 (fault 25)', async () => {
    const size = 5 * 1024 ** 3
    await using stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/huge' }).commit({ 'w.safetensors': syntheticContent(1000, 1) })
    })
    await stage.mirror('org/huge')
    // The stored blob is made sparse, and the manifest told of its size, as if five gibibytes had been mirrored.
    const { readFile, readdir, writeFile } = await import('node:fs/promises')
    const entries = await readdir(stage.directory, { recursive: true, withFileTypes: true })
    const pathOf = (part: string) => {
      const entry = entries.find(({ parentPath, name }) => join(parentPath, name).includes(part) && name.length > 20)
      return join(entry?.parentPath ?? '', entry?.name ?? '')
    }
    await truncate(pathOf('blobs/sha256'), size)
    const manifest = pathOf('/commits/')
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('"size": 1000', `"size": ${size}`))
    for (const [range, expected] of [
      ['bytes=4294967296-4294967305', 'bytes 4294967296-4294967305/5368709120'],
      ['bytes=-5', 'bytes 5368709115-5368709119/5368709120'],
      ['bytes=4294967295-4294967296', 'bytes 4294967295-4294967296/5368709120'],
    ] as const) {
      const part = await stage.get('/org/huge/resolve/main/w.safetensors', { headers: { range } })
      expect(part.status).to.equal(206)
      expect(part.headers.get('content-range')).to.equal(expected)
      await part.arrayBuffer()
    }
    const head = await stage.get('/org/huge/resolve/main/w.safetensors', { method: 'HEAD' })
    expect(head.headers.get('content-length')).to.equal(String(size))
    expect((await runMirrorFace(['list', '--local-directory', stage.directory])).stdout).to.match(/5 GiB/)
    await expectCalm(stage.server)
  })
})
