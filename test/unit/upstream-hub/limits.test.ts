import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { answerOf, bodyOf, declinedBy, streamBody, upstreamRequest } from '../../conformance/index.ts'
import { isQuick } from '../../support/runs.ts'
import { openHub, startRawServer, startServer, withoutPauses } from './stage.ts'

// Mutants are waited for half as long, and not by undici's clock for heads, which ticks once a second.
const limit = isQuick ? 50 : 100
const read = '/api/models/o/n' // by undici
const passed = '/api/other' // by http-proxy-3

describe('every wait has a limit', () => {
  for (const path of isQuick ? [passed] : [read, passed]) {
    it(`for the head of an answer: ${path}`, async () => {
      await using server = await startServer(() => undefined)
      const hub = await openHub({ url: server.url, retries: 0, headersTimeout: limit })
      const declined = await declinedBy(hub, upstreamRequest(path))
      expect(declined.status).to.equal(504)
      expect(declined.reason).to.include(server.url)
      await hub.close()
    })

    it(`for a head that stops in its middle: ${path}`, async () => {
      await using server = await startRawServer((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Le'))
      const hub = await openHub({ url: server.url, retries: 0, headersTimeout: limit })
      expect((await declinedBy(hub, upstreamRequest(path))).status).to.equal(504)
      await hub.close()
    })
  }

  for (const path of [read, passed]) {
    it(`for the whole: ${path}`, async () => {
      await using server = await startServer((_request, response) => {
        const timer = setInterval(() => response.write('x'.repeat(100)), 10)
        response.once('close', () => clearInterval(timer))
      })
      const hub = await openHub({ url: server.url, retries: 0, totalTimeout: 2 * limit })
      const outcome = await hub.ask(upstreamRequest(path))
      if (outcome.kind === 'declined') expect(outcome.status).to.equal(504)
      else
        await bodyOf(outcome).then(
          () => expect.fail('it ended'),
          () => undefined,
        )
      await hub.close()
    })
  }

  it('for the next byte of a body', async () => {
    await using server = await startServer((_request, response) =>
      response.writeHead(200, { 'Content-Length': '10' }).write('x'),
    )
    const hub = await openHub({ url: server.url, retries: 0, idleTimeout: limit })
    const answer = await answerOf(hub, upstreamRequest(passed))
    await bodyOf(answer).then(
      () => expect.fail('it ended'),
      (error: Error) => expect(error.message).to.include(`${limit} ms`),
    )
    await hub.close()
  })

  it('but not for a client that reads slowly', async () => {
    const size = 8 << 20
    await using server = await startServer((_request, response) => response.end(Buffer.alloc(size)))
    const hub = await openHub({ url: server.url, retries: 0, idleTimeout: limit / 2 })
    const answer = await answerOf(hub, upstreamRequest(passed))
    await delay(3 * limit) // six times the limit
    expect((await bodyOf(answer)).length).to.equal(size)
    await hub.close()
  })

  it('but not for an upload that takes longer than the limit for the head', async () => {
    await using server = await startServer((request, response) => {
      void buffer(request).then(({ length }) => response.end(String(length)))
    })
    const hub = await openHub({ url: server.url, retries: 0, headersTimeout: limit })
    async function* slowly() {
      for (let piece = 0; piece < 8; piece++) {
        yield Buffer.alloc(1000)
        await delay(limit / 4)
      }
    }
    for (const length of [8000, undefined]) {
      const request = upstreamRequest('/api/up', { method: 'POST', body: streamBody(length, slowly()) })
      expect(String(await bodyOf(await answerOf(hub, request)))).to.equal('8000')
    }
    await hub.close()
  })

  it('for the head once an upload has been sent', async () => {
    await using server = await startServer((request) => request.resume())
    const hub = await openHub({ url: server.url, retries: 0, headersTimeout: limit })
    const request = upstreamRequest('/api/up', { method: 'POST', body: streamBody(4, [Buffer.from('body')]) })
    expect((await declinedBy(hub, request)).status).to.equal(504)
    await hub.close()
  })

  it('for an upload of which the Hub takes nothing', async () => {
    await using server = await startServer((request) => request.pause())
    const hub = await openHub({ url: server.url, retries: 0, idleTimeout: limit })
    const chunk = Buffer.alloc(1 << 20)
    async function* endlessly() {
      for (let piece = 0; piece < 64; piece++) yield chunk
    }
    const request = upstreamRequest('/api/up', { method: 'POST', body: streamBody(64 << 20, endlessly()) })
    const declined = await declinedBy(hub, request)
    expect(declined.status).to.equal(504)
    expect(declined.reason).to.include('took no byte')
    await hub.close()
  })
})

describe('a request that failed before the first byte of its answer', () => {
  for (const [what, request, times] of [
    ['a GET', () => upstreamRequest(passed), 3],
    ['metadata', () => upstreamRequest(read), 3],
    ['a HEAD', () => upstreamRequest('/o/n/resolve/main/f', { method: 'HEAD' }), 3],
    ['a POST', () => upstreamRequest('/api/x', { method: 'POST', body: streamBody(1, [Buffer.from('x')]) }), 1],
    ['a DELETE', () => upstreamRequest('/api/x', { method: 'DELETE' }), 1],
  ] as const) {
    it(`is sent again only where that does no harm: ${what}, ${times} times in all`, async () => {
      using _ = withoutPauses()
      await using server = await startServer((seen) => seen.socket.destroy())
      const hub = await openHub({ url: server.url, retries: 2 })
      expect((await declinedBy(hub, request())).status).to.equal(502)
      expect(server.requests).to.have.length(times)
      await hub.close()
    })
  }
})
