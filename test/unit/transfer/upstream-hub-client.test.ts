import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { ListingTooLarge } from '../../../src/hub/index.ts'
import type { Declined, Upstream, UpstreamAnswer, UpstreamRequest } from '../../../src/plugin/index.ts'
import { HubSource, HubUnreachable, PartMemory, UpstreamHubClient } from '../../../src/transfer/index.ts'

const commit = 'c'.repeat(40)
const oid = 'a'.repeat(40)
const repository = { type: 'model', id: 'o/n' } as const

function answered(body: unknown, headers: UpstreamAnswer['headers'] = [], status = 200): UpstreamAnswer {
  return {
    kind: 'answered',
    status,
    headers,
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  }
}

/** An upstream that answers as a test says, and keeps what it was asked. */
function makeUpstream(answer: (path: string, request: UpstreamRequest) => UpstreamAnswer | Declined) {
  const asked: UpstreamRequest[] = []
  const upstream: Upstream = {
    traits: {
      name: 'test',
      hasServiceToken: false,
      serviceWrites: false,
      clientTokens: undefined,
      clientTokenPattern: /^hf_/,
      authority: undefined,
    },
    ask: async (request) => {
      asked.push(request)
      return answer(request.target.canonical, request)
    },
    ready: async () => undefined,
    close: async () => undefined,
  }
  const client = new UpstreamHubClient({
    upstream,
    endpoint: 'https://hub.example/base/',
    rights: { use: 'client', token: 'hf_x' },
    retries: { attempts: 3, base: 1, longest: 1 },
    userAgent: 'mirrorface/test',
    via: '1.1 mirror',
  })
  return { asked, source: new HubSource(client, new PartMemory(8)), client }
}

describe('the Hub by way of an upstream', () => {
  it('lists a revision over pages that the upstream names relative to the mirror', async () => {
    const { source, asked } = makeUpstream((path) => {
      if (path.startsWith('/api/models/o/n/revision/main')) return answered({ id: 'o/n', sha: commit })
      if (path.includes('/commits/')) return answered([{ id: commit, title: 't' }])
      if (path.includes('/refs'))
        return answered({
          branches: [],
          tags: [{ name: 'main', ref: 'refs/tags/main', targetCommit: commit }],
          converts: [],
        })
      if (path.includes('cursor=2')) return answered([{ type: 'file', path: 'b', size: 1, oid }])
      const link = `</api/models/o/n/tree/${commit}?recursive=true&cursor=2>; rel="next"`
      return answered([{ type: 'file', path: 'a', size: 1, oid }], [['link', link]])
    })
    const listing = await source.describe(repository, 'main', { signal: new AbortController().signal })
    expect(listing.commit).to.equal(commit)
    expect(listing.files.map(({ path }) => path)).to.deep.equal(['a', 'b'])
    expect(listing.ref).to.deep.equal({ name: 'main', kind: 'tag' })
    expect(source.origin).to.equal('https://hub.example/base')
    for (const { purpose, rights, headers } of asked) {
      expect(purpose).to.equal('mirror')
      expect(rights).to.deep.equal({ use: 'client', token: 'hf_x' })
      expect(headers).to.include({ via: '1.1 mirror', 'user-agent': 'mirrorface/test' })
    }
  })

  it('downloads a large file in parts, in order', async () => {
    const bytes = Buffer.from(Array.from({ length: 10_000_000 }, (_, index) => (index >> 8) & 0xff))
    const { source, asked } = makeUpstream((_path, { headers }) => {
      const match = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
      const part = bytes.subarray(Number(match?.[1]), Number(match?.[2]) + 1)
      return { kind: 'answered', status: 206, headers: [], body: Readable.from([part]) }
    })
    const file = { type: 'file', path: 'w', size: bytes.length, oid } as const
    const open = source.open(repository, commit, file, { signal: new AbortController().signal })
    const received: Buffer[] = []
    for await (const piece of open(0)) received.push(Buffer.from(piece))
    expect(Buffer.concat(received).equals(bytes)).to.equal(true)
    expect(asked.length).to.equal(3)
    expect(new Set(asked.map(({ target }) => target.canonical)).size).to.equal(1)
  })

  for (const [status, times] of [
    [429, 1],
    [503, 1],
    [502, 3],
    [504, 3],
  ] as const) {
    it(`is given up after ${times} ${times === 1 ? 'attempt' : 'attempts'} that are declined with ${status}`, async () => {
      const { source, asked } = makeUpstream(() => ({ kind: 'declined', status, reason: 'down', retryAfter: 600 }))
      await source.describe(repository, commit, { signal: new AbortController().signal }).then(
        () => expect.fail('described'),
        (error: unknown) =>
          expect(error).to.be.instanceOf(HubUnreachable).with.property('message').that.includes('down'),
      )
      expect(asked).to.have.length(times)
    })
  }

  it('says why the Hub refuses', async () => {
    const { source } = makeUpstream(() => answered('{}', [['x-error-code', 'GatedRepo']], 403))
    await source.describe(repository, commit, { signal: new AbortController().signal }).then(
      () => expect.fail('described'),
      (error: { code?: string; status?: number }) => expect(error).to.include({ code: 'GatedRepo', status: 403 }),
    )
  })

  it('gives bytes at hand as a stream', async () => {
    const { client } = makeUpstream(() =>
      answered('text', [
        ['a', '1'],
        ['a', '2'],
      ]),
    )
    const { body, headers, ledTo } = await client.get('/o/n/resolve/main/f', {}, new AbortController().signal)
    expect(String(await buffer(body))).to.equal('text')
    expect(headers.a).to.equal('1, 2')
    expect(ledTo).to.equal(undefined)
  })

  it('says where a revision is without its files, also where it takes no question for one field', async () => {
    const refs = { branches: [], tags: [{ name: 'v1', ref: 'refs/tags/v1', targetCommit: commit }], converts: [] }
    const { signal } = new AbortController()
    for (const expanded of [answered({ id: 'o/n', sha: commit }), answered('{}', [], 400), answered({ id: 'o/n' })]) {
      const { source, asked } = makeUpstream((path) => {
        if (path.endsWith('/refs')) return answered(refs)
        return path.includes('expand') ? expanded : answered({ id: 'o/n', sha: commit })
      })
      for (const [revision, ref] of [
        ['refs/tags/v1', { name: 'v1', kind: 'tag' }],
        ['main', { name: 'main', kind: 'branch' }],
        ['refs/pr/1', { name: 'refs/pr/1', kind: 'pull-request' }],
        [commit.slice(0, 8), undefined],
      ] as const)
        expect(await source.locate(repository, revision, { signal })).to.deep.equal({ commit, ...(ref && { ref }) })
      expect(asked.some(({ target }) => /tree|commits/.test(target.canonical))).to.equal(false)
    }
    const { source, asked } = makeUpstream(() => answered('{}', [['x-error-code', 'RevisionNotFound']], 404))
    const failure: unknown = await source.locate(repository, 'nope', { signal }).catch((error: unknown) => error)
    expect(failure).to.include({ code: 'RevisionNotFound', status: 404 })
    expect(asked).to.have.length(1)
  })

  it('lists no more than there is memory for, and keeps the siblings of nothing', async () => {
    const page = Array.from({ length: 100 }, (_, index) => ({ type: 'file', path: `${index}`, size: 1, oid }))
    const siblings = page.map(({ path }) => ({ rfilename: path }))
    const link = `</api/models/o/n/tree/${commit}?recursive=true&cursor=2>; rel="next"`
    const { signal } = new AbortController()
    const endless = () =>
      makeUpstream((path) => {
        if (path.includes('/revision/')) return answered({ id: 'o/n', sha: commit, siblings })
        if (path.includes('/commits/')) return answered([])
        return answered(page, path.includes('cursor=2') ? [] : [['link', link]])
      })
    const whole = await endless().source.describe(repository, commit, { signal })
    expect([whole.files.length, whole.info]).to.deep.equal([200, { id: 'o/n', sha: commit }])
    for (const [memory, questions] of [
      [1_000, 1], // the info alone is larger
      [15_000, 3], // the first page is
      [30_000, 4],
    ] as const) {
      const { source, asked } = endless()
      const failure: unknown = await source
        .describe(repository, commit, { signal, memory })
        .catch((error: unknown) => error)
      expect(failure, `${memory}`).to.be.instanceOf(ListingTooLarge)
      expect(asked.length, `${memory}`).to.be.at.most(questions)
    }
    expect((await endless().source.describe(repository, commit, { signal, memory: 50_000 })).files).to.have.length(200)
  })
})
