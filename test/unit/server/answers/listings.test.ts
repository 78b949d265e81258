import { expect } from 'chai'
import { z } from 'zod'
import { UsageFailure } from '../../../../src/hub/index.ts'
import { ManifestSnapshot, type Snapshot } from '../../../../src/mirror/index.ts'
import type { Reply } from '../../../../src/server/reply.ts'
import { commit, jsonOf, mirrored, refusalOf, replyTo } from './mirrored.ts'

const api = '/api/models/org/model'
const entries = {
  folder: { type: 'directory', oid: 'd'.repeat(40), size: 0, path: 'd' },
  file: { type: 'file', oid: '1'.repeat(40), size: 7, path: 'a.json' },
  leftOut: { type: 'file', oid: '2'.repeat(40), size: 5, path: 'd/left-out.txt' },
  large: {
    ...{ type: 'file', oid: '3'.repeat(40), size: 1_000, path: 'd/w.bin' },
    lfs: { oid: 'f'.repeat(64), size: 1_000, pointerSize: 130 },
  },
}
const { folder, file, leftOut, large } = entries

/** A commit of so many files, all at its root. */
function wide(count: number): Snapshot {
  const { storage, repository, info } = mirrored()
  const files = Array.from({ length: count }, (_, index) => ({
    path: `f${String(index).padStart(5, '0')}`,
    size: 1,
    oid: '1'.repeat(40),
    blob: null,
  }))
  const mirroredAt = '2026-01-01T00:00:00.000Z'
  const made = { layout: 2, repository: { ...repository }, commit, mirroredAt, mirroredFrom: 'x' } as const
  return new ManifestSnapshot(storage, { ...made, info: { ...info }, commits: [], files, directories: [] }, 0)
}

const pageSchema = z.array(z.object({ path: z.string() }))
const linkOf = (reply: Reply | undefined) => reply?.headers.find(([name]) => name === 'link')?.[1]

describe('the tree of a mirrored commit', () => {
  for (const [path, expected] of [
    ['', [folder, file]],
    ['?recursive=true', [folder, file, leftOut, large]],
    ['?recursive=false', [folder, file]],
    ['/d', [leftOut, large]],
    ['/d?recursive=1', [leftOut, large]],
  ] as const)
    it(`has these entries: ${path}`, async () => {
      const reply = await replyTo(`${api}/tree/main${path}`)
      expect(jsonOf(reply)).to.deep.equal(expected)
      expect(reply?.headers).to.deep.equal([
        ['content-type', 'application/json; charset=utf-8'],
        ['x-repo-commit', commit],
      ])
    })

  it('has no folder that the commit has not', async () => {
    for (const path of ['none', 'a.json', 'd/none'])
      for (const route of ['tree', 'treesize'])
        expect(await refusalOf(replyTo(`${api}/${route}/main/${path}`))).to.equal(`404 EntryNotFound ${commit}`)
  })

  for (const [query, pageSize] of [
    ['', 1_000],
    ['expand=true', 100],
    ['limit=1', 1],
    ['limit=999', 999],
    ['limit=1001', 1_000],
    ['expand=true&limit=101', 100],
    ['expand=true&limit=7', 7],
  ] as const)
    it(`comes in pages of ${pageSize} (${query}), each entry once`, async () => {
      for (const count of [pageSize - 1, pageSize, pageSize + 1, 2 * pageSize + 1]) {
        const snapshot = wide(count)
        const sizes: number[] = []
        const paths = new Set<string>()
        let next: string | undefined = `${api}/tree/main?${query}`
        while (next !== undefined) {
          const reply: Reply | undefined = await replyTo(next, { snapshot })
          const page = pageSchema.parse(jsonOf(reply))
          sizes.push(page.length)
          for (const one of page) paths.add(one.path)
          next = /^<([^>]*)>; rel="next"$/.exec(linkOf(reply) ?? '')?.[1]
          if (next !== undefined)
            expect(next)
              .to.include(query)
              .and.to.match(/^\/api\/models\/org\/model\/tree\/main\?/)
        }
        const full = Array.from({ length: Math.floor(count / pageSize) }, () => pageSize)
        const rest = count % pageSize
        expect(sizes).to.deep.equal(rest > 0 || count === 0 ? [...full, rest] : full)
        expect(paths.size).to.equal(count)
      }
    })

  for (const query of [
    'limit=0',
    'limit=-1',
    'limit=x',
    'limit=1x',
    'limit=1234567890',
    'limit=',
    'cursor=x',
    'cursor=',
  ])
    it(`refuses ${query}`, async () => {
      const error = await replyTo(`${api}/tree/main?${query}`).catch((reason: unknown) => reason)
      expect(error).to.be.instanceOf(UsageFailure)
    })

  it('refuses a cursor that is a number with something around it', async () => {
    for (const text of ['1x', 'x1', '1234567890', '-1']) {
      const cursor = Buffer.from(text).toString('base64url')
      const error = await replyTo(`${api}/tree/main?cursor=${cursor}`).catch((reason: unknown) => reason)
      expect(error, text).to.be.instanceOf(UsageFailure)
    }
    const cursor = Buffer.from('123456789').toString('base64url')
    expect(jsonOf(await replyTo(`${api}/tree/main?cursor=${cursor}`))).to.deep.equal([])
  })
})

describe('the size of a folder', () => {
  for (const [path, expected] of [
    ['', { path: '/', size: 1_012 }],
    ['/d', { path: 'd', size: 1_005 }],
  ] as const)
    it(`is that of all files below it: ${path}`, async () => {
      const reply = await replyTo(`${api}/treesize/main${path}`)
      expect(jsonOf(reply)).to.deep.equal(expected)
      expect(reply?.headers).to.deep.include(['x-repo-commit', commit])
    })
})

describe('information about paths', () => {
  const asked = async (contentType: string, text: string, snapshot = mirrored()) =>
    jsonOf(await replyTo(`${api}/paths-info/main`, { method: 'POST', snapshot, body: { contentType, text } }))

  for (const [contentType, text] of [
    ['application/json', '{"paths":["a.json","none","d/","/d","d/w.bin","a.json"],"expand":true}'],
    ['application/json; charset=utf-8', '{"paths":["/a.json/","d","d/w.bin"]}'],
    ['application/x-www-form-urlencoded', 'paths=a.json&paths=d&expand=true&paths=d%2Fw.bin'],
    ['', 'paths=a.json&paths=d&paths=d/w.bin'],
  ] as const)
    it(`is given of those that there are, once each: ${contentType} ${text}`, async () => {
      expect(await asked(contentType, text)).to.deep.equal([file, folder, large])
    })

  it('is given of one path that is no list', async () => {
    expect(await asked('application/json', '{"paths":"a.json"}')).to.deep.equal([file])
  })

  for (const text of ['', 'paths=a', '[]', '{}', '{"paths":[1]}', '{"paths":null}', 'null'])
    it(`is refused to JSON that says something else: ${text}`, async () => {
      expect(await asked('application/json', text).catch((error: unknown) => error)).to.be.instanceOf(UsageFailure)
    })

  it('lets others have their turn while thousands are looked up', async () => {
    const paths = Array.from({ length: 2_500 }, (_, index) => `f${String(index).padStart(5, '0')}`)
    let turns = 0
    let isGiven = false
    const given = asked('application/json', JSON.stringify({ paths }), wide(2_500)).finally(() => {
      isGiven = true
    })
    while (!isGiven) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }
    expect(await given).to.have.length(2_500)
    expect(turns).to.be.within(2, 10)
  })
})
