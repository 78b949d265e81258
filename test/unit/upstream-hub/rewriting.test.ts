import { expect } from 'chai'
import type { UpstreamRequest } from 'mirrorface/plugin'
import { answerOf, bodyOf, headerIn, textBody, upstreamRequest } from '../../conformance/index.ts'
import { type Handler, openHub, startServer } from './stage.ts'

const json = { 'Content-Type': 'application/json; charset=utf-8' }
const mirror = 'http://mirror.test/mirror'

async function stage(handler: Handler, options: Record<string, unknown> = {}, base = '') {
  const server = await startServer(handler)
  const upstream = await openHub({ url: server.url + base, retries: 0, ...options })
  return {
    server,
    ask: async (path: string, given: Partial<UpstreamRequest> = {}) =>
      await answerOf(upstream, upstreamRequest(path, given)),
    json: async (path: string, given: Partial<UpstreamRequest> = {}) =>
      JSON.parse(String(await bodyOf(await answerOf(upstream, upstreamRequest(path, given))))),
    upstream,
    [Symbol.asyncDispose]: async () => {
      await upstream.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const closed = [{ redirects: 'follow' }, { xet: false }] as const

describe('Xet, for clients that are to be kept from it', () => {
  const entries = [
    { type: 'file', path: 'w', oid: 'a', xetHash: 'h' },
    { type: 'directory', path: 'd' },
  ]
  const offered = {
    ...json,
    ETag: '"e"',
    'X-Xet-Hash': 'h',
    'X-Xet-Refresh-Route': '/api/models/o/n/xet-read-token/c',
    Link: '</x>; rel="xet-auth", </api/models/o/n/tree/main?cursor=1>; rel="next"',
  }
  const handler: Handler = (_request, response) => response.writeHead(200, offered).end(JSON.stringify(entries))

  for (const options of closed) {
    for (const [method, path] of [
      ['GET', '/api/models/o/n/tree/main'],
      ['POST', '/api/models/o/n/paths-info/main'],
      ['GET', '/api/models/o/n/unheard-of'],
    ] as const) {
      it(`is taken off ${method} ${path} (${JSON.stringify(options)})`, async () => {
        await using at = await stage(handler, options)
        for (let time = 0; time < 2; time++) {
          const answer = await at.ask(path, { method, body: method === 'POST' ? textBody('{}') : undefined })
          const body = await bodyOf(answer)
          expect(JSON.parse(String(body))).to.deep.equal([
            { type: 'file', path: 'w', oid: 'a' },
            { type: 'directory', path: 'd' },
          ])
          expect(headerIn(answer, 'content-length')).to.equal(String(body.length))
          expect(headerIn(answer, 'x-xet-hash')).to.equal(undefined)
          expect(headerIn(answer, 'x-xet-refresh-route')).to.equal(undefined)
          expect(headerIn(answer, 'link')).to.equal('</api/models/o/n/tree/main?cursor=1>; rel="next"')
          if (method === 'GET') expect(headerIn(answer, 'etag')).to.equal('W/"e"')
        }
      })
    }

    it(`leaves the content of a JSON file alone (${JSON.stringify(options)})`, async () => {
      await using at = await stage(
        (_request, response) => response.writeHead(200, { ...json, ETag: '"e"' }).end('{ "xetHash": 1 }'),
        options,
      )
      for (const path of [
        '/o/n/resolve/main/a.json',
        `/api/resolve-cache/models/o/n/${'c'.repeat(40)}/a.json`,
        '/o/n/raw/main/a.json',
        '/api/buckets/o/n/resolve/a.json',
      ]) {
        const answer = await at.ask(path)
        expect(String(await bodyOf(answer)), path).to.equal('{ "xetHash": 1 }')
        expect(headerIn(answer, 'etag')).to.equal('"e"')
      }
    })

    it(`refuses a token with the reason (${JSON.stringify(options)})`, async () => {
      await using at = await stage(handler, options)
      for (const path of ['/api/models/o/n/xet-read-token/main', '/api/models/o/n/xet-write-token/main'])
        await at.upstream.ask(upstreamRequest(path)).then(
          () => expect.fail('it was asked'),
          (error: { status?: number; message: string }) => {
            expect(error.status).to.equal(403)
            expect(error.message).to.include('redirects: follow')
          },
        )
      expect(at.server.requests).to.have.length(0)
    })

    it(`is not among the transfers of an LFS batch (${JSON.stringify(options)})`, async () => {
      let asked = ''
      await using at = await stage((request, response) => {
        request.on('data', (chunk) => {
          asked += chunk
        })
        request.once('end', () =>
          response.writeHead(200, { 'Content-Type': 'application/vnd.git-lfs+json' }).end('{"objects":[]}'),
        )
      }, options)
      const body = textBody('{"operation":"upload","transfers":["basic","xet","multipart"],"objects":[]}')
      await at.json('/o/n.git/info/lfs/objects/batch', { method: 'POST', body })
      expect(JSON.parse(asked).transfers).to.deep.equal(['basic', 'multipart'])
    })
  }

  it('is left to others, and to this server itself', async () => {
    for (const [options, given] of [
      [{}, {}],
      [{ redirects: 'follow' }, { purpose: 'mirror' }],
    ] as const) {
      await using at = await stage(handler, options)
      const answer = await at.ask('/api/models/o/n/tree/main', given)
      expect(JSON.parse(String(await bodyOf(answer)))).to.deep.equal(entries)
      expect(headerIn(answer, 'x-xet-hash')).to.equal('h')
      expect(headerIn(answer, 'etag')).to.equal('"e"')
      expect(headerIn(answer, 'x-xet-refresh-route')).to.equal(`${mirror}/api/models/o/n/xet-read-token/c`)
    }
  })

  it('stays in an answer that is too large to be read, which is streamed', async () => {
    const large = `[${'{"xetHash":"h"},'.repeat(3_000_000)}1]`
    await using at = await stage((_request, response) => response.writeHead(200, json).end(large), {
      redirects: 'follow',
    })
    const answer = await at.ask('/api/models/o/n/unheard-of')
    expect(answer.body).not.to.be.instanceOf(Uint8Array)
    expect((await bodyOf(answer)).length).to.equal(large.length)
  }).timeout(20_000)
})

describe('an LFS batch', () => {
  const batch = (hub: string) => ({
    transfer: 'basic',
    objects: [
      {
        oid: 'a',
        size: 1,
        actions: {
          download: {
            href: 'https://cdn.example/a?X-Amz-Signature=s',
            header: { Authorization: 'Basic hub', 'X-Other': '1' },
          },
        },
      },
      {
        oid: 'b',
        size: 2,
        actions: {
          upload: { href: 'https://s3.example/b', header: { '00001': 'https://s3.example/part1', chunk_size: '5' } },
          verify: { href: `${hub}/o/n.git/info/lfs/verify`, header: { authorization: 'Bearer hub' } },
        },
      },
      { oid: 'c', size: 3, error: { code: 404, message: 'none' } },
    ],
  })
  const handler: Handler = (request, response) => {
    response
      .writeHead(200, { 'Content-Type': 'application/vnd.git-lfs+json' })
      .end(JSON.stringify(batch(`http://${request.headers.host}/base`)))
  }
  const post = (given: Partial<UpstreamRequest> = {}) => ({ method: 'POST' as const, body: textBody('{}'), ...given })
  const path = '/o/n.git/info/lfs/objects/batch'
  const seal = (url: string) => `/-/follow/${Buffer.from(url).toString('base64url')}`

  it('leads to the Hub through the mirror, and elsewhere as it is in pass mode', async () => {
    await using at = await stage(handler, {}, '/base')
    const answer = await at.json(path, post({ seal, rights: { use: 'client', token: 'hf_x' } }))
    const expected = batch(mirror)
    expect(answer).to.deep.equal(expected)
  })

  it('leads everywhere through the mirror in follow mode, parts of uploads too', async () => {
    await using at = await stage(handler, { redirects: 'follow' }, '/base')
    const { objects } = await at.json(path, post({ seal }))
    const sealed = (url: string) => mirror + seal(url)
    expect(objects[0].actions.download.href).to.equal(sealed('https://cdn.example/a?X-Amz-Signature=s'))
    expect(objects[1].actions.upload).to.deep.equal({
      href: sealed('https://s3.example/b'),
      header: { '00001': sealed('https://s3.example/part1'), chunk_size: '5' },
    })
    expect(objects[1].actions.verify.href).to.equal(`${mirror}/o/n.git/info/lfs/verify`)
    expect(objects[2]).to.deep.equal(batch('').objects[2])
  })

  it("hands out no authorization that the service's token got", async () => {
    await using at = await stage(handler, { token: 'hf_service' }, '/base')
    const { objects } = await at.json(path, post({ rights: { use: 'service' } }))
    expect(objects[0].actions.download.header).to.deep.equal({ 'X-Other': '1' })
    expect(objects[1].actions.verify.header).to.deep.equal({})
  })

  it('is not passed on where it is not understood: it may carry one', async () => {
    for (const body of ['{"objects":1}', 'not JSON', '{"objects":[{"actions":{"download":{"href":1}}}]}']) {
      await using at = await stage((_request, response) => response.writeHead(200, json).end(body))
      expect((await at.upstream.ask(upstreamRequest(path, post()))).kind).to.equal('declined')
    }
  })

  it('passes a refusal on as it is', async () => {
    await using at = await stage((_request, response) => response.writeHead(403, json).end('{"error":"no"}'))
    const answer = await at.ask(path, post())
    expect(answer.status).to.equal(403)
    expect(String(await bodyOf(answer))).to.equal('{"error":"no"}')
  })
})

describe('the answer to a write', () => {
  it('names what was made at the mirror', async () => {
    await using at = await stage((request, response) => {
      const hub = `http://${request.headers.host}`
      response
        .writeHead(200, json)
        .end(JSON.stringify({ commitUrl: `${hub}/o/n/commit/c`, url: 'https://elsewhere.example/x', name: 'n' }))
    })
    const made = await at.json('/api/models/o/n/commit/main', { method: 'POST', body: textBody('{}') })
    expect(made).to.deep.equal({ commitUrl: `${mirror}/o/n/commit/c`, url: 'https://elsewhere.example/x', name: 'n' })
  })
})

describe('a chain of mirrors', () => {
  for (const redirects of ['pass', 'follow'] as const) {
    it(`maps the next one's prefix to its own, never twice, and passes Via up (${redirects})`, async () => {
      await using at = await stage(
        (request, response) => {
          const { headers } = request
          expect(headers.via).to.equal('1.1 first, 1.1 second')
          const self = `http://${headers.host}/mirror`
          if (request.url === '/mirror/o/n/resolve/main/f')
            response.writeHead(307, { Location: `/mirror/o/n/resolve/${'c'.repeat(40)}/f` }).end()
          else if (request.url === '/mirror/o/old/resolve/main/f')
            response.writeHead(307, { Location: `${self}/o/new/resolve/main/f` }).end()
          else if (request.method === 'HEAD')
            response.writeHead(200, { ...json, ETag: '"e"', 'Content-Length': '7' }).end()
          else if (request.url === '/mirror/loop') response.writeHead(508, { 'X-Error-Code': 'LoopDetected' }).end()
          else response.writeHead(200, { Link: `<${self}/api/models/o/n/tree/main?cursor=2>; rel="next"` }).end('[]')
        },
        { redirects },
        '/mirror/',
      )
      const headers = { via: '1.1 first, 1.1 second' }
      const location = async (path: string) => headerIn(await at.ask(path, { headers }), 'location')
      expect(await location('/o/n/resolve/main/f')).to.equal(`/o/n/resolve/${'c'.repeat(40)}/f`)
      expect(await location('/o/old/resolve/main/f')).to.equal('/o/new/resolve/main/f')
      const page = await at.ask('/api/models/o/n/tree/main', { headers })
      expect(headerIn(page, 'link')).to.equal('</api/models/o/n/tree/main?cursor=2>; rel="next"')
      const head = await at.ask('/o/n/resolve/main/a.json', { method: 'HEAD', headers })
      expect([headerIn(head, 'etag'), headerIn(head, 'content-length')]).to.deep.equal(['"e"', '7'])
      expect((await at.ask('/loop', { headers })).status).to.equal(508)
    })
  }

  it('knows the next page of a list under another name of the upstream', async () => {
    await using at = await stage((_request, response) =>
      response
        .writeHead(200, {
          Link: '<https://huggingface.co/api/models/o/n/tree/main?cursor=2>; rel="next", <https://huggingface.co/x>; rel="next"',
        })
        .end('[]'),
    )
    const page = await at.ask('/api/models/o/n/tree/main')
    expect(headerIn(page, 'link')).to.equal(
      '</api/models/o/n/tree/main?cursor=2>; rel="next", <https://huggingface.co/x>; rel="next"',
    )
  })
})

describe('a sealed URL', () => {
  it('is uploaded to as the client sends it, with no credentials', async () => {
    const received: Buffer[] = []
    await using storage = await startServer((request, response) => {
      request
        .on('data', (chunk: Buffer) => received.push(chunk))
        .once('end', () => response.writeHead(200, { ETag: '"part"', 'Set-Cookie': 'a=b' }).end())
    }, '127.0.0.2')
    await using at = await stage(() => undefined, {
      redirects: 'follow',
      followHosts: ['127.0.0.2'],
      token: 'hf_service',
    })
    const answer = await at.ask('/-/follow/seal', {
      method: 'PUT',
      sealedUrl: `${storage.url}/part?X-Amz-Signature=s`,
      body: textBody('bytes'),
      headers: { 'content-type': 'application/octet-stream', 'x-hf-secret': 's', authorization: 'Bearer x' },
      rights: { use: 'service' },
    })
    expect(answer.status).to.equal(200)
    expect(headerIn(answer, 'etag')).to.equal('"part"')
    expect(headerIn(answer, 'set-cookie')).to.equal(undefined)
    expect(String(Buffer.concat(received))).to.equal('bytes')
    const { headers, url } = storage.requests[0] ?? {}
    expect(url).to.equal('/part?X-Amz-Signature=s')
    expect(headers).to.include({ 'content-length': '5', 'content-type': 'application/octet-stream' })
    expect(headers).not.to.have.any.keys('authorization', 'cookie', 'x-hf-secret', 'transfer-encoding')
  })
})
