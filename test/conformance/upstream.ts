import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { Failure, type Upstream } from 'mirrorface/plugin'
import { answerOf, bodyOf, declinedBy, headerIn, streamBody, textBody, upstreamRequest } from './upstream-request.ts'

/** Opens the upstream under test against a Hub at `url`, a path included where one is given. */
export type OpenUpstream = (url: string) => Promise<Upstream>

export interface UpstreamFixture {
  /** It follows redirects to other hosts itself, for clients too. */
  readonly followsRedirects?: boolean
}

/** What every upstream plugin must do, as mocha tests. */
export function describeUpstream(name: string, open: OpenUpstream, fixture: UpstreamFixture = {}): void {
  describe(`upstream conformance: ${name}`, () => {
    let hub: Server
    let url: string
    let upstream: Upstream
    let answer: RequestListener

    beforeEach(async () => {
      hub = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1')
      await once(hub, 'listening')
      url = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
      upstream = await open(url)
    })
    afterEach(async () => {
      await upstream.close()
      hub.close()
      hub.closeAllConnections()
    })

    it('passes a request and its answer on', async () => {
      let seen: IncomingMessage | undefined
      answer = (request, response) => {
        seen = request
        response.writeHead(203, { 'X-Repo-Commit': 'c', 'X-Odd': 'yes' }).end('hello')
      }
      const request = upstreamRequest('/api/whoami-v2?x=%2F&y=', { rights: { use: 'client', token: 'hf_x' } })
      const answered = await answerOf(upstream, request)
      assert.equal(answered.status, 203)
      assert.equal(headerIn(answered, 'x-odd'), 'yes')
      assert.equal(String(await bodyOf(answered)), 'hello')
      assert.equal(seen?.url, request.target.canonical)
      assert.equal(seen?.headers.authorization, 'Bearer hf_x')
      assert.equal(seen?.headers.host, new URL(url).host)
      assert.equal(seen?.headers['x-request-id'], request.id)
    })

    for (const operation of [
      '/api/models/o/n',
      '/o/n/resolve/main/f',
      '/api/unheard-of/x?a=b',
      '/o/n/info/refs?service=git-upload-pack',
    ]) {
      it(`sends the canonical target and nothing else: ${operation}`, async () => {
        const seen: (string | undefined)[] = []
        answer = (request, response) => {
          seen.push(request.url)
          response.end('{}')
        }
        const request = upstreamRequest(operation)
        await bodyOf(await answerOf(upstream, request))
        assert.deepEqual(seen, [request.target.canonical])
      })
    }

    it('sends no token with rights none, whatever the headers say', async () => {
      let seen: IncomingMessage | undefined
      answer = (request, response) => {
        seen = request
        response.end()
      }
      await answerOf(
        upstream,
        upstreamRequest('/api/x', {
          headers: { authorization: 'Bearer stolen', cookie: 'a=b', 'proxy-authorization': 'x' },
        }),
      )
      for (const header of ['authorization', 'cookie', 'proxy-authorization'])
        assert.equal(seen?.headers[header], undefined)
    })

    for (const [what, body] of [
      ['at hand', () => textBody('b'.repeat(100_000))],
      ['of a known length', () => streamBody(100_000, Array(10).fill(Buffer.alloc(10_000, 'b')))],
      ['chunked', () => streamBody(undefined, Array(10).fill(Buffer.alloc(10_000, 'b')))],
    ] as const) {
      it(`sends a body ${what}`, async () => {
        let received = 0
        answer = (request, response) => {
          void buffer(request).then(({ length }) => {
            received = length
            response.end('ok')
          })
        }
        const request = upstreamRequest('/api/x', { method: 'POST', body: body() })
        assert.equal(String(await bodyOf(await answerOf(upstream, request))), 'ok')
        assert.equal(received, 100_000)
      })
    }

    for (const path of ['/o/n/resolve/main/f', '/api/models/o/n', '/api/other']) {
      it(`answers HEAD without a body, with the length and tag of the Hub: ${path}`, async () => {
        const headers = { 'Content-Length': '1234567', ETag: '"e"', 'Content-Type': 'application/json' }
        answer = (_request, response) => response.writeHead(200, headers).end()
        const answered = await answerOf(upstream, upstreamRequest(path, { method: 'HEAD' }))
        assert.equal(headerIn(answered, 'content-length'), '1234567')
        assert.equal(headerIn(answered, 'etag'), '"e"')
        assert.equal((await bodyOf(answered)).length, 0)
      })
    }

    for (const status of [204, 304]) {
      it(`gives ${status} without a body, and with its tag`, async () => {
        answer = (_request, response) => response.writeHead(status, { ETag: '"e"' }).end()
        const answered = await answerOf(upstream, upstreamRequest('/api/x'))
        assert.equal(answered.status, status)
        assert.equal(headerIn(answered, 'etag'), '"e"')
        assert.equal((await bodyOf(answered)).length, 0)
      })
    }

    for (const base of ['', '/mirror']) {
      describe(`at ${base === '' ? 'the root' : `a path (${base})`}`, () => {
        beforeEach(async () => {
          await upstream.close()
          upstream = await open(url + base)
        })

        it('is asked below it', async () => {
          let seen: string | undefined
          answer = (request, response) => {
            seen = request.url
            response.end()
          }
          await answerOf(upstream, upstreamRequest('/api/x'))
          assert.equal(seen, `${base}/api/x`)
        })

        for (const [what, location, expected] of [
          ['relative', 'BASE/api/resolve-cache/models/o/n/x?q=1', '/api/resolve-cache/models/o/n/x?q=1'],
          ['relative, without the path', '/api/resolve-cache/models/o/n/x?q=1', '/api/resolve-cache/models/o/n/x?q=1'],
          ['absolute', 'HUBBASE/new/name', '/new/name'],
          ['to the root', 'HUBBASE/', '/'],
          ['with slashes in front', 'HUBBASE//evil.example/x', '/evil.example/x'],
          ['elsewhere', 'https://cdn.example/signed?X=1', 'https://cdn.example/signed?X=1'],
          ['elsewhere, without a scheme', '//cdn.example/signed', 'http://cdn.example/signed'],
        ] as const) {
          if (fixture.followsRedirects === true && !expected.startsWith('/')) continue
          it(`says where a redirect leads, ${what}`, async () => {
            const header = location.replace('HUB', url).replace('BASE', base)
            answer = (_request, response) => response.writeHead(307, { Location: header }).end()
            const answered = await answerOf(upstream, upstreamRequest('/o/n/resolve/main/f'))
            assert.equal(headerIn(answered, 'location'), expected)
          })
        }

        it('says where the next page of a list is', async () => {
          const link = `<${url}${base}/api/models/o/n/tree/main?cursor=abc%3D>; rel="next"`
          answer = (_request, response) => response.writeHead(200, { Link: link }).end('[]')
          const answered = await answerOf(upstream, upstreamRequest('/api/models/o/n/tree/main'))
          assert.equal(headerIn(answered, 'link'), '</api/models/o/n/tree/main?cursor=abc%3D>; rel="next"')
        })
      })
    }

    it("keeps to itself what is not the client's", async () => {
      const dropped = {
        'X-Hop': 'secret',
        'Keep-Alive': 'timeout=5',
        'Set-Cookie': 'session=1',
        'Strict-Transport-Security': 'max-age=1',
        'Alt-Svc': 'h3=":443"',
        'Clear-Site-Data': '"*"',
        NEL: '{}',
        'Report-To': '{}',
        'Access-Control-Allow-Origin': '*',
        'Service-Worker-Allowed': '/',
      }
      answer = (_request, response) =>
        response
          .writeHead(200, { ...dropped, Connection: 'close, X-Hop, ETag', ETag: '"e"', 'X-Repo-Commit': 'c' })
          .end('x')
      const answered = await answerOf(upstream, upstreamRequest('/api/x'))
      for (const header of [...Object.keys(dropped), 'connection', 'transfer-encoding'])
        assert.equal(headerIn(answered, header.toLowerCase()), undefined, header)
      assert.equal(headerIn(answered, 'x-repo-commit'), 'c')
      assert.equal(headerIn(answered, 'etag'), '"e"', 'Connection must not take what clients need')
      await bodyOf(answered)
    })

    it('declines when nobody listens', async () => {
      await upstream.close()
      upstream = await open('http://127.0.0.1:9')
      assert.equal((await declinedBy(upstream, upstreamRequest('/api/x'))).status, 502)
    })

    it('declines when the connection breaks before the head', async () => {
      answer = (request) => request.socket.destroy()
      assert.equal((await declinedBy(upstream, upstreamRequest('/api/x'))).status, 502)
    })

    it('answers again after it declined', async () => {
      answer = (request) => request.socket.destroy()
      await declinedBy(upstream, upstreamRequest('/api/x'))
      answer = (_request, response) => response.end('back')
      assert.equal(String(await bodyOf(await answerOf(upstream, upstreamRequest('/api/x')))), 'back')
    })

    for (const [what, headers] of [
      ['of a known length', { 'Content-Length': '1000' }],
      ['that is chunked', {}],
    ] as const) {
      it(`fails a body ${what} that is cut short at the Hub`, async () => {
        answer = (_request, response) => {
          response.writeHead(200, headers)
          response.write('only this', () => response.destroy())
        }
        await assert.rejects(async () => bodyOf(await answerOf(upstream, upstreamRequest('/api/x'))))
      })
    }

    it("rejects with the signal's reason, and lets the Hub go, when the client leaves before the head", async () => {
      const arrived = Promise.withResolvers<void>()
      const closed = Promise.withResolvers<void>()
      answer = (_request, response) => {
        response.once('close', closed.resolve)
        arrived.resolve()
      }
      const life = new AbortController()
      const reason = new Error('the client left')
      const asked = upstream.ask(upstreamRequest('/api/x', { signal: life.signal }))
      await arrived.promise
      life.abort(reason)
      await assert.rejects(asked, reason)
      await closed.promise
    })

    for (const how of ['destroys the body', 'aborts']) {
      it(`lets the Hub go when the client ${how} in its middle`, async () => {
        const closed = Promise.withResolvers<void>()
        answer = (_request, response) => {
          response.writeHead(200)
          response.write('x')
          response.once('close', closed.resolve)
        }
        const life = new AbortController()
        const { body } = await answerOf(upstream, upstreamRequest('/api/x', { signal: life.signal }))
        assert(!(body instanceof Uint8Array))
        body.on('error', () => undefined)
        if (how === 'aborts') life.abort(new Error('the client left'))
        else body.destroy()
        await closed.promise
      })
    }

    it('refuses a request whose body is shorter than announced, and the Hub gets no whole request of it', async () => {
      const arrived = Promise.withResolvers<void>()
      const outcome = Promise.withResolvers<string>()
      answer = (request) => {
        request.on('error', () => undefined)
        request.once('close', () => outcome.resolve(request.complete ? 'whole' : 'cut'))
        request.resume()
        arrived.resolve()
      }
      async function* pieces(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(50)
        await arrived.promise
      }
      const asked = upstream.ask(upstreamRequest('/api/x', { method: 'POST', body: streamBody(100, pieces()) }))
      await assert.rejects(asked, Failure)
      assert.equal(await outcome.promise, 'cut')
    })

    it('refuses a request whose body is longer than announced, and sends no byte too many', async () => {
      let received = 0
      answer = (request) => {
        request.on('error', () => undefined)
        request.on('data', ({ length }: Buffer) => {
          received += length
        })
      }
      let requests = 0
      hub.on('request', () => requests++)
      hub.on('clientError', () => requests++)
      const body = streamBody(50, [Buffer.alloc(40), Buffer.alloc(40)])
      await assert.rejects(upstream.ask(upstreamRequest('/api/x', { method: 'POST', body })), Failure)
      await upstream.close()
      assert(received <= 50)
      assert(requests <= 1, 'what is too long would be read as another request')
    })

    it('takes no body twice', async () => {
      answer = (request) => request.socket.destroy()
      const body = streamBody(3, [Buffer.from('abc')])
      await declinedBy(upstream, upstreamRequest('/api/x', { method: 'POST', body }))
      assert.equal(body.isSpent, true)
    })

    it('is ready while the Hub answers, and says why it is not', async () => {
      answer = (_request, response) => response.end()
      await upstream.ready()
      await upstream.close()
      upstream = await open('http://127.0.0.1:9')
      await assert.rejects(upstream.ready())
    })
  })
}
