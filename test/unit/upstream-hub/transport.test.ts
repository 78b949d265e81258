import { once } from 'node:events'
import { expect } from 'chai'
import { answerOf, bodyOf, declinedBy, streamBody, upstreamRequest } from '../../conformance/index.ts'
import { openHub, startServer } from './stage.ts'

const read = '/api/models/o/n' // by undici
const passed = '/api/other' // by http-proxy-3

describe('what opens the breaker', () => {
  it('is that nobody listens, for one path as for many', async () => {
    const server = await startServer((_request, response) => response.end())
    const { url } = server
    await server[Symbol.asyncDispose]()
    for (const path of [read, passed]) {
      const hub = await openHub({ url, retries: 0, breakerFailures: 3 })
      for (const state of ['closed', 'closed', 'open']) {
        expect((await declinedBy(hub, upstreamRequest(path))).status).to.equal(502)
        expect(hub.state, path).to.equal(state)
      }
      expect((await declinedBy(hub, upstreamRequest(path))).status).to.equal(503)
      await hub.close()
    }
  })

  it('is in a row: an answer between two failures parts them', async () => {
    await using server = await startServer((request, response) =>
      response.writeHead(request.url?.startsWith('/api/bad') === true ? 504 : 200).end(),
    )
    const hub = await openHub({ url: server.url, retries: 0, breakerFailures: 2 })
    for (let path = 0; path < 5; path++) {
      for (const name of [`/api/bad/${path}`, '/api/good']) await bodyOf(await answerOf(hub, upstreamRequest(name)))
    }
    expect(server.requests.filter(({ method }) => method === 'HEAD')).to.have.length(0)
    await hub.close()
  })

  it('is no request whose own fault it was', async () => {
    await using server = await startServer((request, response) => {
      if (request.url === '/') response.writeHead(503).end()
      else if (request.method === 'GET') response.end('ok')
    })
    const hub = await openHub({ url: server.url, retries: 0, breakerFailures: 1 })
    for (const request of [
      upstreamRequest('/api/short', { method: 'POST', body: streamBody(10, [Buffer.from('short')]) }),
      upstreamRequest('/api/header', { headers: { accept: 'a\r\nb: c' } }),
      upstreamRequest(read, { headers: { accept: 'a\r\nb: c' } }),
    ]) {
      const outcome = await hub.ask(request).catch((error: { status?: number }) => error)
      expect(outcome).to.have.property('status').that.is.oneOf([400, 502])
      await bodyOf(await answerOf(hub, upstreamRequest(passed)))
      expect(hub.state, request.target.pathname).to.equal('closed')
    }
    expect(server.requests.filter(({ url }) => url === '/')).to.have.length(0)
    await hub.close()
  })
})

describe('the transport', () => {
  it('asks whether the upstream is there by HEAD of its root', async () => {
    await using server = await startServer((_request, response) => response.end())
    const hub = await openHub({ url: server.url })
    await hub.ready()
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).to.deep.equal(['HEAD /'])
    await hub.close()
  })

  it('is paused by a 429 alone: others tell what is left, too', async () => {
    await using server = await startServer((_request, response) =>
      response.writeHead(200, { RateLimit: '"api";r=0;t=50', 'Retry-After': '60' }).end('{}'),
    )
    const hub = await openHub({ url: server.url, metadataFreshFor: 0 })
    for (const path of [read, passed, read, passed])
      expect((await answerOf(hub, upstreamRequest(path))).status, path).to.equal(200)
    await hub.close()
  })

  it('closes its connections', async () => {
    await using server = await startServer((_request, response) => response.end('{}'))
    const hub = await openHub({ url: server.url })
    for (const path of [read, passed]) await bodyOf(await answerOf(hub, upstreamRequest(path)))
    const ended = server.requests.map(async ({ socket }) => {
      expect(socket.destroyed).to.equal(false)
      await once(socket, 'close')
    })
    expect(ended).to.have.length(2)
    await hub.close()
    await Promise.all(ended)
  })
})
