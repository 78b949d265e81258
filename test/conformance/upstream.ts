import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type Declined, type Forwarded, parseHubPath, type Upstream } from 'mirrorface/plugin'

/** Opens the upstream under test against a Hub at `url`. */
export type OpenUpstream = (url: string) => Promise<Upstream>

async function listen(handler: RequestListener): Promise<Server & { url: string }> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

/** What every upstream plugin must do, as mocha tests. */
export function describeUpstream(name: string, open: OpenUpstream): void {
  describe(`upstream conformance: ${name}`, () => {
    let hub: Server & { url: string }
    let front: Server & { url: string }
    let upstream: Upstream
    let answer: RequestListener
    let outcomes: Array<Forwarded | Declined>

    beforeEach(async () => {
      outcomes = []
      hub = await listen((request, response) => answer(request, response))
      upstream = await open(hub.url)
      front = await listen((request, response) => {
        const gone = new AbortController()
        response.once('close', () => gone.abort())
        const target = request.url?.replace(/^\/mirror/, '') ?? '/'
        const exchange = {
          id: 'test',
          request,
          response,
          target,
          publicUrl: `${front.url}/mirror`,
          hub: parseHubPath(target.split('?')[0] ?? '/'),
          clientAddress: '127.0.0.1',
          signal: gone.signal,
        }
        void upstream.forward(exchange).then((outcome) => {
          outcomes.push(outcome)
          if (outcome.kind === 'declined') response.writeHead(outcome.status).end(outcome.reason)
        })
      })
    })
    afterEach(async () => {
      await upstream.close()
      for (const server of [hub, front]) {
        server.close()
        server.closeAllConnections()
      }
    })

    async function ask(
      path: string,
      options: { method?: string; headers?: Record<string, string>; body?: string } = {},
    ): Promise<IncomingMessage> {
      const request = httpRequest(front.url + path, { method: options.method ?? 'GET', headers: options.headers ?? {} })
      request.end(options.body)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return response
    }

    it('passes a request and its answer on', async () => {
      let seen: IncomingMessage | undefined
      answer = (request, response) => {
        seen = request
        response.writeHead(203, { 'X-Repo-Commit': 'c', 'X-Odd': 'yes' }).end('hello')
      }
      const response = await ask('/mirror/api/whoami-v2?x=%2F&y', { headers: { authorization: 'Bearer hf_x' } })
      assert.equal(response.statusCode, 203)
      assert.equal(response.headers['x-odd'], 'yes')
      assert.equal(await text(response), 'hello')
      assert.equal(seen?.url, '/api/whoami-v2?x=%2F&y')
      assert.equal(seen?.headers.authorization, 'Bearer hf_x')
      assert.equal(seen?.headers.host, new URL(hub.url).host)
      assert.deepEqual(outcomes[0], { kind: 'forwarded', status: 203, bytes: 5, complete: true })
    })

    it('streams a body to the Hub', async () => {
      let received = ''
      answer = (request, response) => {
        void text(request).then((body) => {
          received = body
          response.end('ok')
        })
      }
      await text(await ask('/mirror/api/x', { method: 'POST', body: 'b'.repeat(100_000) }))
      assert.equal(received.length, 100_000)
    })

    it('answers HEAD without a body, with the length of the Hub', async () => {
      answer = (_request, response) => response.writeHead(200, { 'Content-Length': '1234567' }).end()
      const response = await ask('/mirror/org/name/resolve/main/f', { method: 'HEAD' })
      assert.equal(response.headers['content-length'], '1234567')
      assert.equal((await buffer(response)).length, 0)
    })

    for (const [what, location, expected] of [
      ['relative', '/api/resolve-cache/models/o/n/x?q=1', '/mirror/api/resolve-cache/models/o/n/x?q=1'],
      ["at the Hub's origin", 'HUB/new/name', 'FRONT/mirror/new/name'],
      ['elsewhere', 'https://cdn.example/signed?X=1', 'https://cdn.example/signed?X=1'],
    ] as const) {
      it(`leads a client that is redirected, ${what}, to where it can go`, async () => {
        answer = (_request, response) => response.writeHead(307, { Location: location.replace('HUB', hub.url) }).end()
        const response = await ask('/mirror/org/name/resolve/main/f')
        assert.equal(response.headers.location, expected.replace('FRONT', front.url))
      })
    }

    it('leads the next page of a list through the mirror', async () => {
      answer = (_request, response) =>
        response.writeHead(200, { Link: `<${hub.url}/api/models/o/n/tree/main?cursor=abc%3D>; rel="next"` }).end('[]')
      const response = await ask('/mirror/api/models/o/n/tree/main')
      assert.equal(response.headers.link, `<${front.url}/mirror/api/models/o/n/tree/main?cursor=abc%3D>; rel="next"`)
    })

    it('keeps hop-by-hop headers to itself', async () => {
      let seen: IncomingMessage | undefined
      answer = (request, response) => {
        seen = request
        response.writeHead(200, { Connection: 'close, X-Hop', 'X-Hop': 'secret', 'X-Repo-Commit': 'c' }).end('x')
      }
      const response = await ask('/mirror/api/x', {
        headers: { connection: 'keep-alive, X-Client-Hop', 'x-client-hop': '1', te: 'trailers' },
      })
      assert.equal(response.headers['x-hop'], undefined)
      assert.equal(response.headers['x-repo-commit'], 'c')
      assert.equal(seen?.headers['x-client-hop'], undefined)
      assert.equal(seen?.headers.te, undefined)
    })

    it('does not let Connection take the headers that clients need', async () => {
      answer = (_request, response) => response.writeHead(200, { Connection: 'close, ETag', ETag: '"e"' }).end('x')
      const response = await ask('/mirror/api/x')
      assert.equal(response.headers.etag, '"e"')
    })

    it('declines when nobody listens', async () => {
      await upstream.close()
      upstream = await open('http://127.0.0.1:9')
      const response = await ask('/mirror/api/x')
      assert.equal(response.statusCode, 502)
      assert.equal(outcomes[0]?.kind, 'declined')
    })

    it('declines when the connection breaks before the head', async () => {
      answer = (request) => request.socket.destroy()
      const response = await ask('/mirror/api/x')
      assert.equal(response.statusCode, 502)
    })

    it('cuts a body short for the client that is cut short at the Hub', async () => {
      answer = (_request, response) => {
        response.writeHead(200, { 'Content-Length': '1000' })
        response.write('only this', () => response.destroy())
      }
      const response = await ask('/mirror/api/x')
      await assert.rejects(text(response))
      assert.equal(outcomes[0]?.kind === 'forwarded' && outcomes[0].complete, false)
    })

    it('cuts a chunked body short as well', async () => {
      answer = (_request, response) => {
        response.writeHead(200)
        response.write('only this', () => response.destroy())
      }
      await assert.rejects(text(await ask('/mirror/api/x')))
    })

    it('lets the Hub go when the client has gone', async () => {
      const closed = Promise.withResolvers<void>()
      answer = (_request, response) => {
        response.writeHead(200)
        response.write('x')
        response.once('close', closed.resolve)
      }
      const response = await ask('/mirror/api/x')
      response.destroy()
      await closed.promise
    })
  })
}
