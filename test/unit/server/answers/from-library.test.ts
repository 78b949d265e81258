import { expect } from 'chai'
import { methods } from '../../../../src/hub/index.ts'
import { commit, jsonOf, mirrored, refs, refusalOf, replyTo, textOf } from './mirrored.ts'

const api = '/api/models/org/model'
const jsonHeaders = [
  ['content-type', 'application/json; charset=utf-8'],
  ['x-repo-commit', commit],
]

/** Each operation that a mirrored repository answers, with a path of it. */
const reads = {
  info: api,
  'info at a revision': `${api}/revision/v1`,
  tree: `${api}/tree/main`,
  treesize: `${api}/treesize/main/d`,
  refs: `${api}/refs`,
  commits: `${api}/commits/main`,
  resolve: '/org/model/resolve/main/a.json',
  'resolve-cache': `/api/resolve-cache/models/org/model/${commit}/a.json`,
  raw: '/org/model/raw/main/a.json',
}

describe('replies from the library', () => {
  for (const [operation, url] of Object.entries(reads)) {
    it(`are given to GET and HEAD alone: ${operation}`, async () => {
      for (const method of methods) {
        const reply = await replyTo(url, { method })
        const isRead = method === 'GET' || method === 'HEAD'
        expect(reply?.status, method).to.equal(isRead ? 200 : undefined)
        if (isRead)
          expect([reply?.outcome, reply?.source]).to.deep.equal(['hit', operation === 'refs' ? 'library' : 'store'])
      }
    })

    it(`are the upstream's to give where nothing is mirrored: ${operation}`, async () => {
      expect(await replyTo(url, { snapshot: undefined, refs: [] })).to.equal(undefined)
    })
  }

  it('are given to the POST of paths-info alone', async () => {
    for (const method of methods) {
      const reply = await replyTo(`${api}/paths-info/main`, { method })
      expect(reply?.status, method).to.equal(method === 'POST' ? 200 : undefined)
    }
    expect(await replyTo(`${api}/paths-info/main`, { method: 'POST', snapshot: undefined })).to.equal(undefined)
  })

  it('are of the revision that was asked for, and of main where none was', async () => {
    const found: string[] = []
    const onFind = (revision: string) => found.push(revision)
    for (const url of [
      reads.info,
      reads['info at a revision'],
      `${api}/tree/x`,
      `${api}/treesize/x/d`,
      `${api}/commits/x`,
    ])
      await replyTo(url, { onFind })
    for (const url of ['/org/model/resolve/x/a.json', reads['resolve-cache'], '/org/model/raw/x/a.json'])
      await replyTo(url, { onFind })
    await replyTo(`${api}/paths-info/x`, { onFind, method: 'POST' })
    expect(found).to.deep.equal(['main', 'v1', 'x', 'x', 'x', 'x', commit, 'x', 'x'])
  })

  for (const url of ['/api/models?search=x', `${api}/auth-check`, `${api}/xet-read-token/main`, `${api}/settings`])
    it(`are none to what only the Hub knows: ${url}`, async () => {
      expect(await replyTo(url)).to.equal(undefined)
    })
})

describe('info of a mirrored repository', () => {
  const siblings = ['a.json', 'd/left-out.txt', 'd/w.bin'].map((rfilename) => ({ rfilename }))
  const whole = {
    ...{ tags: ['t'], downloads: 7, likes: 0, private: false, gated: false, disabled: false, pipeline_tag: 'x' },
    ...{ id: 'org/model', sha: commit, siblings },
  }

  it('is what was recorded, under the name and at the commit that it has here', async () => {
    const reply = await replyTo(api)
    expect(jsonOf(reply)).to.deep.equal(whole)
    expect(reply?.headers).to.deep.equal(jsonHeaders)
    expect(jsonOf(await replyTo(api, { snapshot: mirrored({ info: {} }) }))).to.deep.equal({
      ...{ tags: [], downloads: 0, likes: 0, private: false, gated: false, disabled: false },
      ...{ id: 'org/model', sha: commit, siblings },
    })
  })

  for (const value of ['true', 'True', '1'])
    it(`says of each file what it is, with blobs=${value}`, async () => {
      expect(jsonOf(await replyTo(`${api}?blobs=${value}`))).to.deep.include({
        siblings: [
          { rfilename: 'a.json', size: 7, blobId: '1'.repeat(40) },
          { rfilename: 'd/left-out.txt', size: 5, blobId: '2'.repeat(40) },
          {
            ...{ rfilename: 'd/w.bin', size: 1_000, blobId: '3'.repeat(40) },
            lfs: { sha256: 'f'.repeat(64), size: 1_000, pointerSize: 130 },
          },
        ],
      })
    })
  for (const value of ['', '0', 'false', 'yes'])
    it(`names files only, with blobs=${value}`, async () => {
      expect(jsonOf(await replyTo(`${api}?blobs=${value}`))).to.deep.equal(whole)
    })

  it('is the id and what was asked for, with expand in any form', async () => {
    const { id, sha, downloads } = whole
    for (const query of ['expand=sha&expand=downloads', 'expand[]=sha&expand[]=downloads', 'expand=downloads,sha,sha'])
      expect(jsonOf(await replyTo(`${api}?${query}`)), query).to.deep.equal({ id, sha, downloads })
    expect(jsonOf(await replyTo(`${api}?expand=sha`))).to.deep.equal({ id, sha })
    expect(jsonOf(await replyTo(`${api}?expand=siblings&blobs=true`))).to.deep.equal({ id, siblings })
  })
})

describe('refs and commits of a mirrored repository', () => {
  const named = (name: string, ref: string, targetCommit: string) => ({ name, ref, targetCommit })
  const all = {
    branches: [named('main', 'refs/heads/main', commit)],
    tags: [named('v1', 'refs/tags/v1', 'a'.repeat(40))],
    converts: [named('refs/convert/parquet', 'refs/convert/parquet', 'b'.repeat(40))],
  }

  it('are each of its kind, with pull requests for whom asks for them', async () => {
    expect(jsonOf(await replyTo(`${api}/refs`))).to.deep.equal(all)
    expect(jsonOf(await replyTo(`${api}/refs?include_prs=true`))).to.deep.equal({
      ...all,
      pullRequests: [named('refs/pr/1', 'refs/pr/1', 'e'.repeat(40))],
    })
    const [main] = refs
    if (main === undefined) throw new Error('there is one')
    expect(jsonOf(await replyTo(`${api}/refs`, { refs: [main] }))).to.deep.equal({ ...all, tags: [], converts: [] })
  })

  it("are the newest commits as recorded, and the upstream's to tell where none were", async () => {
    const reply = await replyTo(`${api}/commits/main`)
    expect(jsonOf(reply)).to.deep.equal([{ id: commit, title: 'Begin' }])
    expect(reply?.headers).to.deep.equal(jsonHeaders)
    expect(await replyTo(`${api}/commits/main`, { snapshot: mirrored({ commits: [] }) })).to.equal(undefined)
  })
})

describe('files of a mirrored repository', () => {
  it('come with the tag, size and headers of the commit, to be saved where that was asked for', async () => {
    for (const url of [reads.resolve, reads['resolve-cache'], reads.raw]) {
      for (const [query, disposition] of [
        ['', 'inline'],
        ['?download=true', 'attachment'],
        ['?download', 'attachment'],
      ] as const) {
        const reply = await replyTo(url + query)
        expect(reply?.body.kind).to.equal('content')
        if (reply?.body.kind !== 'content') return
        expect([reply.body.content.etag, reply.body.content.size]).to.deep.equal(['1'.repeat(40), 7])
        const headers = Object.fromEntries(reply.headers)
        expect(headers['x-repo-commit']).to.equal(commit)
        expect(headers['content-disposition'], url + query).to.match(new RegExp(`^${disposition};`))
      }
    }
  })

  it('that are large are their content to resolve, and their pointer to raw', async () => {
    const resolved = await replyTo('/org/model/resolve/main/d/w.bin')
    expect(resolved?.body).to.have.nested.include({ 'content.etag': 'f'.repeat(64), 'content.size': 1_000 })
    const raw = await replyTo('/org/model/raw/main/d/w.bin')
    expect(textOf(raw)).to.match(/^version .*\noid sha256:f{64}\nsize 1000\n$/)
    expect(raw?.body).to.include({ etag: '3'.repeat(40) })
    expect(raw?.headers).to.deep.equal([
      ['x-repo-commit', commit],
      ['content-type', 'text/plain; charset=utf-8'],
      ['x-content-type-options', 'nosniff'],
    ])
    expect([raw?.status, raw?.source, raw?.outcome]).to.deep.equal([200, 'store', 'hit'])
  })

  it("that were left out are the upstream's to give, and those that the commit has not are refused", async () => {
    for (const route of ['resolve', 'raw']) {
      expect(await replyTo(`/org/model/${route}/main/d/left-out.txt`)).to.equal(undefined)
      for (const path of ['none', 'd', 'd/none'])
        expect(await refusalOf(replyTo(`/org/model/${route}/main/${path}`))).to.equal(`404 EntryNotFound ${commit}`)
    }
  })
})
