import { once } from 'node:events'
import { expect } from 'chai'
import fc from 'fast-check'
import { bodyOfBytes, HubFailure, type UpstreamRequest } from 'mirrorface/plugin'
import { answerOf, bodyOf, streamBody, upstreamRequest } from '../../conformance/index.ts'
import { runs } from '../../support/runs.ts'
import { openHub, parseRequests, rawHeader, startRawServer } from './stage.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** A server that answers each whole request, and keeps every byte. */
async function startRecorder() {
  return await startRawServer((socket, received) => {
    try {
      const whole = parseRequests(received)
      const answered = (socket as { answered?: number }).answered ?? 0
      for (let index = answered; index < whole.length; index++)
        socket.write(
          whole[index]?.line.startsWith('HEAD') === true ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n' : ok,
        )
      Object.assign(socket, { answered: whole.length })
    } catch {
      // not whole yet
    }
  })
}

describe('the bytes that go upstream', () => {
  it('are what the body frames, whatever the client said of it', async () => {
    await using server = await startRecorder()
    const hub = await openHub({ url: server.url })
    const hostile = fc.record(
      {
        'content-length': fc.constantFrom('0', '5', '999999', '-1', 'abc'),
        'transfer-encoding': fc.constantFrom('chunked', 'identity', 'gzip, chunked', 'xchunked'),
        expect: fc.constantFrom('100-continue', 'x'),
        connection: fc.constantFrom('close', 'upgrade', 'x-request-id', 'content-length'),
        upgrade: fc.constant('websocket'),
        te: fc.constant('trailers'),
        trailer: fc.constant('x-evil'),
        host: fc.constant('evil.example'),
        authorization: fc.constant('Bearer stolen'),
        cookie: fc.constant('a=b'),
        'proxy-authorization': fc.constant('x'),
        'x-forwarded-host': fc.constant('evil.example'),
        ':authority': fc.constant('evil.example'),
        accept: fc.constantFrom('*/*', 'application/json'),
        'x-hf-anything': fc.string({ unit: fc.constantFrom(...'abc 123/;=,"') }),
      },
      { requiredKeys: [] },
    )
    const body = fc.option(
      fc.record({
        bytes: fc.uint8Array({ maxLength: 300 }),
        kind: fc.constantFrom('at hand', 'known', 'chunked'),
        cuts: fc.array(fc.nat(300), { maxLength: 3 }),
      }),
      { nil: undefined },
    )
    const path = fc.constantFrom(
      '/api/x',
      '/o/n/resolve/main/a%20b',
      '/api/models/o/n',
      '/o/n.git/git-receive-pack',
      '/api/x?a=b&c=%2F',
    )
    let expected = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...methods), path, hostile, body, async (method, target, headers, given) => {
        const request = upstreamRequest(target, {
          method,
          headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
          body: given === undefined ? undefined : makeBody(given),
        })
        if (method === 'DELETE' && given?.kind === 'chunked') {
          await hub.ask(request).then(
            () => expect.fail('a chunked DELETE was sent'),
            (error: unknown) => expect(error).to.be.instanceOf(HubFailure).with.property('status', 411),
          )
          return
        }
        await bodyOf(await answerOf(hub, request))
        expected++
        const requests = server.received.flatMap((bytes) => parseRequests(bytes))
        // Metadata may come from the cache, or was asked for under another id; nothing else may be missing.
        const last = requests.find((one) => rawHeader(one, 'x-request-id') === request.id)
        if (last === undefined) {
          expect(target).to.be.oneOf(['/api/models/o/n', '/o/n/resolve/main/a%20b'])
          return
        }
        expect(last.line).to.equal(`${method} ${request.target.canonical} HTTP/1.1`)
        expect(last.body.equals(Buffer.from(given?.bytes ?? []))).to.equal(true)
        expect(rawHeader(last, 'host')).to.equal(new URL(server.url).host)
        const allowed =
          /^(?:x-request-id|user-agent|accept|accept-encoding|x-hf-anything|host|connection|content-length|transfer-encoding)$/
        expect(last.headers.map(([name]) => name).filter((name) => !allowed.test(name))).to.deep.equal([])
        // undici closes the connection behind a HEAD.
        expect(rawHeader(last, 'connection') ?? 'keep-alive').to.be.oneOf(
          method === 'HEAD' ? ['keep-alive', 'close'] : ['keep-alive'],
        )
      }),
      { numRuns: runs(300), seed: 20261125 },
    )
    expect(expected).to.be.greaterThan(runs(300) / 3)
    await hub.close()
  })

  it('say that a POST has no body', async () => {
    await using server = await startRecorder()
    const hub = await openHub({ url: server.url })
    for (const method of ['POST', 'PUT', 'PATCH'] as const)
      await bodyOf(await answerOf(hub, upstreamRequest('/api/x', { method })))
    const requests = server.received.flatMap((bytes) => parseRequests(bytes))
    expect(requests.map((one) => rawHeader(one, 'content-length'))).to.deep.equal(['0', '0', '0'])
    await hub.close()
  })

  it('are not those of another client after an answer that came before the body was sent', async () => {
    await using server = await startRawServer((socket, received) => {
      // Answers the head of an upload at once, and goes on reading.
      const text = received.toString('latin1')
      if (text.startsWith('POST') && !('early' in socket)) {
        Object.assign(socket, { early: true })
        socket.write('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno')
      } else if (text.startsWith('GET') && text.endsWith('\r\n\r\n')) socket.write(ok)
    })
    const hub = await openHub({ url: server.url })
    const held = Promise.withResolvers<void>()
    async function* body() {
      yield Buffer.from('first')
      await held.promise
      yield Buffer.from('GET /stolen HTTP/1.1\r\n\r\n')
    }
    const early = await answerOf(hub, upstreamRequest('/api/up', { method: 'POST', body: streamBody(29, body()) }))
    expect(early.status).to.equal(401)
    await bodyOf(early)
    const victim = upstreamRequest('/api/victim', { rights: { use: 'client', token: 'hf_victim' } })
    expect(String(await bodyOf(await answerOf(hub, victim)))).to.equal('ok')
    held.resolve()
    expect(server.sockets.length, 'the victim has a connection of its own').to.equal(2)
    expect(server.received[0]?.includes('hf_victim')).to.equal(false)
    expect(parseRequests(server.received[1] ?? Buffer.alloc(0))).to.have.length(1)
    await hub.close()
  })

  it('of a request whose body failed end with its connection', async () => {
    await using server = await startRawServer(() => undefined)
    const hub = await openHub({ url: server.url })
    const sent = Promise.withResolvers<void>()
    async function* body() {
      yield Buffer.from('half')
      await sent.promise
      throw new Error('the client broke off')
    }
    const asked = hub.ask(upstreamRequest('/api/up', { method: 'POST', body: streamBody(100, body()) }))
    asked.catch(() => undefined)
    while (server.received[0]?.includes('half') !== true) await new Promise((resolve) => setImmediate(resolve))
    const closed = once(server.sockets[0] ?? expect.fail('no connection'), 'close')
    sent.resolve()
    await closed
    await asked.then(
      () => expect.fail('it was answered'),
      (error: unknown) => expect(error).to.be.instanceOf(HubFailure).with.property('code', 'IncompleteBody'),
    )
    await hub.close()
  })

  it('have no token after a redirect to another origin', async () => {
    await using cdn = await startRecorder()
    await using server = await startRawServer((socket, received) => {
      if (received.includes('\r\n\r\n'))
        socket.write(`HTTP/1.1 302 Found\r\nLocation: ${cdn.url}/x\r\nContent-Length: 0\r\n\r\n`)
    })
    const hub = await openHub({ url: server.url, redirects: 'follow', followHosts: ['127.0.0.1'], token: 'hf_service' })
    for (const rights of [{ use: 'service' }, { use: 'client', token: 'hf_client' }] as const) {
      const headers = { authorization: 'Bearer x', cookie: 'a=b' }
      await bodyOf(await answerOf(hub, upstreamRequest('/o/n/resolve/main/f', { rights, headers })))
    }
    expect(String(server.received)).to.include('hf_service').and.include('hf_client')
    expect(String(cdn.received)).not.to.match(/authorization|cookie|hf_|Bearer/i)
    await hub.close()
  })
})

function makeBody(given: { bytes: Uint8Array; kind: string; cuts: readonly number[] }): UpstreamRequest['body'] {
  const { bytes, kind, cuts } = given
  if (kind === 'at hand') return bodyOfBytes(bytes)
  const offsets = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((one, other) => one - other)
  const pieces = offsets
    .slice(1)
    .map((end, index) => bytes.subarray(offsets[index], end))
    .filter(({ length }) => length > 0)
  return streamBody(kind === 'known' ? bytes.length : undefined, pieces)
}
