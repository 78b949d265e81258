import { mock } from 'node:test'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { expect } from 'chai'
import type { UpstreamAnswer, UpstreamRequest } from 'mirrorface/plugin'
import { answerOf, bodyOf, declinedBy, headerIn, textBody, upstreamRequest } from '../../conformance/index.ts'
import { isQuick } from '../../support/runs.ts'
import { type Handler, openHub, startServer } from './stage.ts'

const info = '/api/models/org/name'
type Client = Partial<UpstreamRequest>
const withToken = (token: string): Client => ({ rights: { use: 'client', token } })

/** Answers a count, so that each answer tells when it was made. */
function counting(headers: Record<string, string> = {}): Handler {
  let count = 0
  return (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(String(++count))
  }
}

async function stage(handler: Handler, options: Record<string, unknown> = {}) {
  const server = await startServer(handler)
  const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000, ...options })
  const get = async (client: Client = {}, path = info) => await answerOf(hub, upstreamRequest(path, client))
  return {
    server,
    hub,
    get,
    text: async (client: Client = {}, path = info) => String(await bodyOf(await get(client, path))),
    [Symbol.asyncDispose]: async () => {
      await hub.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** Holds answers back until it is let go. */
function held(then: Handler) {
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const handler: Handler = (request, response) => {
    arrived.resolve()
    void gate.promise.then(() => then(request, response))
  }
  return { handler, arrived: arrived.promise, letGo: gate.resolve }
}

describe('metadata that many ask for', () => {
  it('is asked for once by many at a time, and given again while it is fresh', async () => {
    const { handler, letGo, arrived } = held(counting({ ETag: '"1"' }))
    await using at = await stage(handler)
    const asked = Array.from({ length: 500 }, () => at.text())
    await arrived
    letGo()
    expect(new Set(await Promise.all(asked))).to.deep.equal(new Set(['1']))
    const again = await at.get()
    expect(String(await bodyOf(again))).to.equal('1')
    expect(Number(headerIn(again, 'age'))).to.be.within(0, 5)
    expect(at.server.requests).to.have.length(1)
  })

  it('comes to the others when the one that asked first has gone', async () => {
    const { handler, letGo, arrived } = held(counting())
    await using at = await stage(handler)
    const first = new AbortController()
    const left = at.text({ signal: first.signal })
    const others = [at.text(), at.text()]
    await arrived
    const reason = new Error('the client left')
    first.abort(reason)
    expect(await left.catch((error: unknown) => error)).to.equal(reason)
    letGo()
    expect(await Promise.all(others)).to.deep.equal(['1', '1'])
  })

  it('is not waited for at the Hub when all have gone', async () => {
    const closed = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    await using at = await stage((_request, response) => {
      response.once('close', closed.resolve)
      arrived.resolve()
    })
    const clients = [new AbortController(), new AbortController()]
    const asked = clients.map(({ signal }) => at.text({ signal }).catch(() => 'left'))
    await arrived.promise
    for (const client of clients) client.abort(new Error('left'))
    expect(await Promise.all(asked)).to.deep.equal(['left', 'left'])
    await closed.promise
  })

  it('is never shared across credentials, methods, encodings', async () => {
    await using at = await stage(counting())
    const clients: Client[] = [
      {},
      withToken('hf_a'),
      withToken('hf_b'),
      { headers: { accept: 'application/json' } },
      { headers: { 'accept-encoding': 'gzip' } },
    ]
    const first = []
    for (const client of clients) first.push(await at.text(client))
    expect(first).to.deep.equal(['1', '2', '3', '4', '5'])
    for (const [index, client] of clients.entries()) expect(await at.text(client)).to.equal(first[index])
  })

  for (const [what, headers] of [
    ['no-store', { 'Cache-Control': 'no-store' }],
    ['private', { 'Cache-Control': 'private, max-age=60' }],
    ['Set-Cookie', { 'Set-Cookie': 'session=1' }],
    ['Vary: *', { Vary: '*' }],
  ] as const) {
    it(`is each asker's own with ${what}, also of those that ask at once`, async () => {
      const { handler, letGo, arrived } = held(counting(headers))
      await using at = await stage(handler)
      const asked = Array.from({ length: 20 }, () => at.text())
      await arrived
      letGo()
      expect(new Set(await Promise.all(asked)).size).to.equal(20)
      expect(await at.text()).to.equal('21')
    })
  }

  it('is one answer for all languages and clients, which the Hub is not told of', async () => {
    let count = 0
    await using at = await stage((request, response) => {
      const { 'accept-language': language, 'user-agent': agent } = request.headers
      response.writeHead(200, { Vary: 'Accept-Language, Origin' }).end(`${language} ${agent} ${++count}`)
    })
    for (const language of ['de', 'en', 'fr']) {
      const headers = { 'accept-language': language, 'user-agent': `client ${language}` }
      expect(await at.text({ headers })).to.equal('undefined mirrorface 1')
    }
  })

  it('is not kept where the query carries a token', async () => {
    await using at = await stage(counting())
    const path = `${info}?token=hf_x`
    expect([await at.text({}, path), await at.text({}, path)]).to.deep.equal(['1', '2'])
  })

  it('is validated by its tag, and what a 304 says of it is taken over', async () => {
    let asked = 0
    await using at = await stage((request, response) => {
      asked++
      if (request.headers['if-none-match'] === '"e"')
        response.writeHead(304, { ETag: '"e"', 'X-Round': String(asked) }).end()
      else response.writeHead(200, { ETag: '"e"', 'X-Round': String(asked), 'Cache-Control': 'no-cache' }).end('body')
    })
    for (const round of ['1', '2', '3']) {
      const answer = await at.get()
      expect(String(await bodyOf(answer))).to.equal('body')
      expect(answer.status).to.equal(200)
      expect(headerIn(answer, 'x-round')).to.equal(round)
    }
  })

  it('is asked for whole where a 304 validates something else', async () => {
    await using at = await stage((request, response) => {
      if (request.headers['if-none-match'] !== undefined) response.writeHead(304, { ETag: '"other"' }).end()
      else response.writeHead(200, { ETag: '"e"', 'Cache-Control': 'no-cache' }).end('body')
    })
    await at.text()
    expect(await at.text()).to.equal('body')
    expect(at.server.requests.map(({ headers }) => headers['if-none-match'])).to.deep.equal([
      undefined,
      '"e"',
      undefined,
    ])
  })
})

describe('metadata while the Hub is in trouble', () => {
  it('comes stale within 2 s of its silence, and fresh once it speaks', async () => {
    await using at = await stage(counting(), { metadataFreshFor: 0 })
    await at.text()
    const answering = at.server.handler
    const silent = Promise.withResolvers<() => void>()
    at.server.handler = (request, response) => silent.resolve(() => answering(request, response))
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      let isGiven = false
      const given = at.get().finally(() => {
        isGiven = true
      })
      const answerNow = await silent.promise
      mock.timers.tick(1_000)
      await nextTurn()
      expect(isGiven).to.equal(false)
      mock.timers.tick(1_000)
      const stale = await given
      expect(stale.staleFor).to.be.a('number')
      expect(String(await bodyOf(stale))).to.equal('1')
      answerNow() // the question went on meanwhile
    } finally {
      mock.timers.reset()
    }
    at.server.handler = answering
    while ((await at.text()) === '1') await delay(10)
  })

  for (const [what, trouble] of [
    ['refuses', (request) => request.socket.destroy()],
    ['answers 503', (_request, response) => response.writeHead(503).end()],
    ['answers 429', (_request, response) => response.writeHead(429, { 'Retry-After': '60' }).end()],
    [
      'cuts its answer short',
      (_request, response) => response.writeHead(200, { 'Content-Length': '9' }).write('x', () => response.destroy()),
    ],
  ] as [string, Handler][]) {
    it(`comes stale where it ${what}`, async () => {
      await using at = await stage(counting(), { metadataFreshFor: 0 })
      await at.text()
      at.server.handler = trouble
      for (let round = 0; round < 3; round++) {
        const stale = await at.get()
        expect(stale.staleFor).to.be.a('number')
        expect(String(await bodyOf(stale))).to.equal('1')
      }
      expect((await at.hub.ask(upstreamRequest(`${info}/revision/other`))).kind === 'answered').to.equal(
        what === 'answers 503',
      )
    })
  }

  for (const directive of ['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage=0', 'no-store', 'private']) {
    it(`is not served stale against ${directive}`, async () => {
      await using at = await stage(counting({ 'Cache-Control': directive }), { metadataFreshFor: 0 })
      await at.text()
      at.server.handler = (request) => request.socket.destroy()
      expect((await declinedBy(at.hub, upstreamRequest(info))).status).to.equal(502)
    })
  }

  it('is not served stale to this server itself, whose questions decide about access', async () => {
    await using at = await stage(counting(), { metadataFreshFor: 0 })
    await at.text({ purpose: 'mirror' })
    at.server.handler = (request) => request.socket.destroy()
    await declinedBy(at.hub, upstreamRequest(info, { purpose: 'mirror' }))
    expect(await at.text({ headers: { 'accept-encoding': 'identity' } })).to.equal('1')
  })

  it('is not served stale to others', async () => {
    await using at = await stage(counting(), { metadataFreshFor: 0 })
    await at.text(withToken('hf_a'))
    at.server.handler = (request) => request.socket.destroy()
    expect(await at.text(withToken('hf_a'))).to.equal('1')
    await declinedBy(at.hub, upstreamRequest(info))
    await declinedBy(at.hub, upstreamRequest(info, withToken('hf_b')))
  })
})

describe('metadata after a write', () => {
  const write = (path: string, client: Client = withToken('hf_a')) =>
    upstreamRequest(path, { method: 'POST', body: textBody('{}'), ...client })
  const commit = '/api/models/Org/Name/commit/main'

  async function afterWriting(request: UpstreamRequest, status = 200): Promise<string> {
    let count = 0
    await using at = await stage((seen, response) => {
      if (seen.method === 'POST') response.writeHead(status).end('{}')
      else response.end(String(++count))
    })
    await at.text()
    await bodyOf((await at.hub.ask(request)) as UpstreamAnswer)
    return await at.text()
  }

  it('is asked for again, of that repository in any spelling', async () => {
    expect(await afterWriting(write(commit))).to.equal('2')
    expect(await afterWriting(write('/api/repos/move'))).to.equal('2')
  })
  it('is still fresh after a write elsewhere, a refused one, one without credentials, and one of reading', async () => {
    expect(await afterWriting(write('/api/models/org/other/commit/main'))).to.equal('1')
    for (const status of [400, 403]) expect(await afterWriting(write(commit), status)).to.equal('1')
    expect(await afterWriting(write(commit, { rights: { use: 'none' } }))).to.equal('1')
    expect(await afterWriting(write(`${info}/paths-info/main`))).to.equal('1')
  })
})

describe('memory for metadata', () => {
  it('holds no answer that is announced as too large, nor one that turns out so', async () => {
    const size = (isQuick ? 12 : 30) * 1024 * 1024
    for (const announced of [true, false]) {
      await using at = await stage((_request, response) => {
        response.writeHead(200, announced ? { 'Content-Length': size } : {})
        let left = size
        const chunk = Buffer.alloc(1 << 20, 'x')
        const send = () => {
          while (left > 0 && response.write(chunk.subarray(0, Math.min(left, chunk.length)))) left -= chunk.length
          if (left > 0) {
            left -= chunk.length
            response.once('drain', send)
          } else response.end()
        }
        send()
      })
      const answer = await at.get()
      expect(answer.body).not.to.be.instanceOf(Uint8Array)
      // While nobody reads, the Hub is held back: it can't have sent all of it.
      await delay(50)
      const held = at.server.requests[0]?.socket.bytesWritten ?? 0
      expect(held).to.be.lessThan(announced ? 8 << 20 : 20 << 20)
      expect((await bodyOf(answer)).length).to.equal(size)
      expect((await bodyOf(await at.get())).length).to.equal(size)
      expect(at.server.requests).to.have.length(2)
    }
  })

  it('counts keys: a thousand long targets stay within it', async () => {
    const bodies = new Map<string, number>()
    await using at = await stage(
      (request, response) => {
        bodies.set(request.url ?? '', (bodies.get(request.url ?? '') ?? 0) + 1)
        response.end('{}')
      },
      { metadataMemory: 1_000_000 },
    )
    const paths = Array.from(
      { length: isQuick ? 200 : 1_000 },
      (_, index) => `${info}?x=${String(index).padStart(8_000, 'a')}`,
    )
    for (const path of paths) await at.text({}, path)
    for (const path of paths) await at.text({}, path)
    // 16 KB a key: at most some 60 of them can have been kept, so that nearly all were asked for twice.
    expect([...bodies.values()].filter((times) => times === 2).length).to.be.greaterThan(paths.length - 70)
  })
})
