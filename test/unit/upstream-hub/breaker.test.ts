import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import { Breaker } from '../../../plugins/upstream-hub/transport/breaker.ts'
import { BreakerOpen } from '../../../plugins/upstream-hub/transport/failures.ts'
import { answerOf, bodyOf, declinedBy, streamBody, upstreamRequest } from '../../conformance/index.ts'
import { runs } from '../../support/runs.ts'
import { openHub, startRawServer, startServer } from './stage.ts'

function makeBreaker(failures: number, pause = 1, longestSuspicion = 60_000) {
  const probes: PromiseWithResolvers<void>[] = []
  const breaker = new Breaker({
    failures,
    pause,
    longestSuspicion,
    probe: () => {
      const probe = Promise.withResolvers<void>()
      probes.push(probe)
      return probe.promise
    },
    onChange: () => undefined,
  })
  return { breaker, probes }
}

describe('the breaker', () => {
  it('opens as a model says: by connections that failed in a row; with different paths that did it is probed, and no more', () => {
    type Event = { kind: 'connect' } | { kind: 'path'; path: string } | { kind: 'answered' }
    const event: fc.Arbitrary<Event> = fc.oneof(
      fc.constant({ kind: 'connect' } as const),
      fc.constantFrom('/a', '/b', '/c', '/d').map((path) => ({ kind: 'path', path }) as const),
      fc.constant({ kind: 'answered' } as const),
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (events, failures) => {
        const { breaker, probes } = makeBreaker(failures)
        let isSuspected = false
        let inRow: Event[] = []
        let isOpen = false
        for (const one of events) {
          if (one.kind === 'connect') breaker.connectFailed()
          else if (one.kind === 'path') breaker.answerFailed(one.path)
          else breaker.succeeded()
          inRow = one.kind === 'answered' ? [] : [...inRow, one]
          const paths = new Set(
            inRow.map((failed) => (failed.kind === 'path' ? failed.path : '')).filter((path) => path !== ''),
          )
          const connects = inRow.filter((failed) => failed.kind === 'connect').length
          isSuspected ||= !isOpen && connects < failures && connects + paths.size >= failures
          isOpen ||= connects >= failures
          expect(probes.length).to.equal(isSuspected ? 1 : 0)
          expect(breaker.state).to.equal(isOpen ? 'open' : 'closed')
        }
      }),
      { numRuns: runs(2_000), seed: 20_261_125 },
    )
  })

  it('opens by paths, however many, only when its probe fails, which is one at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.nat(4), fc.boolean(), async (failures, lost, isBack) => {
        const { breaker, probes } = makeBreaker(failures)
        const connects = Math.min(lost, failures - 1)
        for (let time = 0; time < connects; time++) breaker.connectFailed()
        for (let path = 0; path < failures - connects; path++) {
          expect(probes).to.have.length(0)
          breaker.answerFailed(`/${path}`)
        }
        for (let path = 0; path < 20; path++) breaker.answerFailed(`/${path}`)
        expect(probes).to.have.length(1)
        expect(breaker.state).to.equal('closed')
        if (isBack) probes[0]?.resolve()
        else probes[0]?.reject(new Error('down'))
        await breaker.probe().catch(() => undefined)
        await Promise.resolve()
        expect(breaker.state).to.equal(isBack ? 'closed' : 'open')
      }),
      { numRuns: runs(200), seed: 20261125 },
    )
  })

  it('opens where the probe of a suspicion does not come back, and closes when it does after all', async () => {
    const { breaker, probes } = makeBreaker(1, 60_000, 1)
    breaker.answerFailed('/a')
    while (breaker.state === 'closed') await delay(1)
    expect(breaker.state).to.equal('open')
    probes[0]?.resolve()
    await breaker.probe()
    expect(breaker.state).to.equal('closed')
  })

  it('is closed by its own probe alone, one for all that wait', async () => {
    const { breaker, probes } = makeBreaker(1, 0)
    breaker.connectFailed()
    const entering = [breaker.enter(), breaker.enter(), breaker.enter()]
    expect(breaker.state).to.equal('half-open')
    breaker.succeeded() // an answer to what was asked before
    expect(breaker.state).to.equal('half-open')
    expect(probes).to.have.length(1)
    probes[0]?.resolve()
    await Promise.all(entering)
    expect(breaker.state).to.equal('closed')
  })

  it('is opened again by a probe that failed, and keeps everybody out for the pause', async () => {
    const { breaker, probes } = makeBreaker(1, 60_000)
    breaker.connectFailed()
    await breaker.enter().then(
      () => expect.fail('entered'),
      (error: unknown) => expect(error).to.be.instanceOf(BreakerOpen),
    )
    const probe = breaker.probe() // as the server does now and then
    probes[0]?.reject(new Error('still down'))
    await probe.then(
      () => expect.fail('was back'),
      () => undefined,
    )
    expect(breaker.state).to.equal('open')
  })
})

describe('whose fault it was', () => {
  it("was the route's: 504s of all its paths leave the others alone, until the Hub itself answers so", async () => {
    let probes = 0
    await using server = await startServer((request, response) => {
      if (request.url === '/') probes++
      response.writeHead(request.url?.startsWith('/api/slow') === true ? 504 : 200).end()
    })
    const hub = await openHub({ url: server.url, retries: 0 })
    for (let time = 0; time < 30; time++) await answerOf(hub, upstreamRequest('/api/slow/0'))
    expect(probes).to.equal(0)
    for (let path = 0; path < 100; path++) {
      await answerOf(hub, upstreamRequest(`/api/slow/${path}`))
      expect(hub.state).to.equal('closed')
    }
    expect(probes).to.be.greaterThan(0)
    server.handler = (_request, response) => response.writeHead(504).end()
    for (let path = 0; hub.state === 'closed'; path++) await hub.ask(upstreamRequest(`/api/slow/${path}`))
    expect(hub.state).to.equal('open')
    const declined = await declinedBy(hub, upstreamRequest('/api/x'))
    expect(declined.status).to.equal(503)
    expect(declined.retryAfter).to.equal(5)
    await hub.close()
  })

  it("was that of one client's paths: resets of any number of them leave the others alone while the probe is answered", async () => {
    await using server = await startServer((request, response) => {
      if (request.url?.startsWith('/api/reset') === true) request.socket.destroy()
      else response.end('ok')
    })
    const hub = await openHub({ url: server.url, retries: 0, breakerFailures: 10 })
    for (let path = 0; path < 100; path++) {
      await declinedBy(hub, upstreamRequest(`/api/reset/${path}`))
      expect(hub.state).to.equal('closed')
      if (path % 10 === 0) expect((await answerOf(hub, upstreamRequest(`/api/fine/${path}`))).status).to.equal(200)
    }
    await hub.close()
  })

  it("was the client's: leaving, a body that failed, headers that a library refuses", async () => {
    await using server = await startServer(() => undefined)
    const hub = await openHub({ url: server.url, retries: 0, breakerFailures: 1 })
    for (const path of ['/api/models/o/n', '/api/other', '/o/n/resolve/main/f']) {
      const life = new AbortController()
      const asked = hub.ask(upstreamRequest(path, { signal: life.signal })).catch(() => 'left')
      while (!server.requests.some(({ url }) => url === path)) await new Promise((resolve) => setImmediate(resolve))
      life.abort(new Error('left'))
      expect(await asked).to.equal('left')
    }
    const short = streamBody(10, [Buffer.from('short')])
    await hub.ask(upstreamRequest('/api/y', { method: 'POST', body: short })).catch(() => undefined)
    const broken = upstreamRequest('/api/z', { headers: { accept: 'a\r\nb: c' } })
    await hub.ask(broken).then(
      () => expect.fail('it was sent'),
      (error: { status?: number }) => expect(error.status).to.equal(400),
    )
    await hub.ask(upstreamRequest('/api/models/o/m', { headers: { accept: 'ä€' } })).catch(() => undefined)
    expect(hub.state).to.equal('closed')
    await hub.close()
  })

  for (const method of ['GET', 'HEAD'] as const)
    for (const path of ['/o/n/resolve/main/f', '/api/models/o/n', '/api/other'])
      it(`was one answer's: ${method} ${path} with a large head is passed on, with one too large or broken it fails alone`, async () => {
        const heads = [`X-A: ${'q'.repeat(50_000)}\r\n`, `X-A: ${'q'.repeat(70_000)}\r\n`, 'no header\r\n', 'X : 1\r\n']
        let head = heads[0] ?? ''
        let asked = 0
        await using server = await startRawServer((socket, received) => {
          if (!received.includes('\r\n\r\n')) return
          asked++
          socket.end(`HTTP/1.1 200 OK\r\n${head}Content-Length: 0\r\nConnection: close\r\n\r\n`)
        })
        const hub = await openHub({ url: server.url, retries: 2, breakerFailures: 1 })
        expect((await answerOf(hub, upstreamRequest(path, { method }))).status).to.equal(200)
        for (const [index, bad] of heads.slice(1).entries()) {
          head = bad
          asked = 0
          expect((await declinedBy(hub, upstreamRequest(`${path}${index}`, { method }))).status).to.equal(502)
          expect(hub.state).to.equal('closed')
          expect(asked).to.equal(1)
        }
        await hub.close()
      })

  it("was the network's: the breaker opens, and a client that leaves while it is probed does not close it", async () => {
    await using server = await startServer((request) => request.socket.destroy())
    const hub = await openHub({ url: server.url, retries: 0, breakerFailures: 2, breakerPause: 1 })
    for (let path = 0; hub.state === 'closed'; path++) await declinedBy(hub, upstreamRequest(`/api/${path}`))
    expect(hub.state).to.equal('open')
    const probed = Promise.withResolvers<() => void>()
    server.handler = (_request, response) => probed.resolve(() => response.writeHead(503).end())
    await delay(5) // the pause is over
    const life = new AbortController()
    const left = hub.ask(upstreamRequest('/api/c', { signal: life.signal })).catch((error: Error) => error.message)
    const answerProbe = await probed.promise
    expect(hub.state).to.equal('half-open')
    life.abort(new Error('left'))
    expect(await left).to.equal('left')
    expect(hub.state).to.equal('half-open')
    answerProbe()
    while (hub.state === 'half-open') await delay(1)
    expect(hub.state).to.equal('open')
    server.handler = (_request, response) => response.end('ok')
    await hub.ready()
    expect(hub.state).to.equal('closed')
    expect(String(await bodyOf(await answerOf(hub, upstreamRequest('/api/d'))))).to.equal('ok')
    await hub.close()
  })
})
