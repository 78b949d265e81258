import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { mock } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { formatTarget, HubFailure } from 'mirrorface/plugin'
import { guardedConnect } from '../../../plugins/upstream-hub/follow/guarded-connect.ts'
import { batchRequestFor, placeIn, redirectTo } from '../../../plugins/upstream-hub/follow/lfs-object.ts'
import { RedirectGuard, RedirectRefused, refusedAddress } from '../../../plugins/upstream-hub/follow/redirect-guard.ts'
import { upstreamRequest } from '../../conformance/index.ts'

const guardOf = (followHosts: readonly string[], followPrivate: readonly string[] = [], allowsPlainHttp = false) =>
  new RedirectGuard({ followHosts, followPrivate, allowsPlainHttp })

/** The outcome of a call with a callback of Node's kind. */
function outcomeOf<Value>(call: (callback: (error: Error | null, value: Value) => void) => void) {
  return new Promise<[Error | null, Value]>((resolve) => call((...outcome) => resolve(outcome)))
}

describe('where redirects may lead', () => {
  it('is to what is named, in any case, with its port where it has another', () => {
    for (const [host, url, isNamed] of [
      ['cdn.example', 'https://cdn.example/x', true],
      ['cdn.example', 'https://CDN.example./x', true],
      ['CDN.Example', 'https://cdn.example:443/x', true],
      ['cdn.example', 'https://cdn.example:8443/x', false],
      ['cdn.example:8443', 'https://cdn.example:8443/x', true],
      ['CDN.example:8443', 'https://cdn.example:8443/x', true],
      ['cdn.example:8443', 'https://cdn.example/x', false],
      ['cdn.example:*', 'https://cdn.example:8443/x', true],
      ['*', 'https://cdn:8443/x', false],
      ['*.example', 'https://cdn.example/x', true],
      ['10.0.0.1', 'https://10.0.0.1/x', true],
      ['10.0.0.1:80', 'https://10.0.0.1:80/x', true],
      ['[::A]', 'https://[::a]/x', true],
      ['*', 'https://[::a]/x', false],
      ['cdn.example', 'https://user@cdn.example/x', false],
      ['cdn.example', 'https://:password@cdn.example/x', false],
      ['cdn.example', 'ftp://cdn.example/x', false],
      ['cdn.example', 'http://cdn.example/x', false],
    ] as const) {
      const act = () => guardOf([host]).assertUrl(new URL(url))
      if (isNamed) expect(act, `${host} ${url}`).not.to.throw()
      else expect(act, `${host} ${url}`).to.throw(RedirectRefused, 'followHosts')
    }
    const plain = guardOf(['cdn.example'], [], true)
    expect(() => plain.assertUrl(new URL('http://cdn.example/x'))).not.to.throw()
    expect(() => plain.assertUrl(new URL('ftp://cdn.example/x'))).to.throw(RedirectRefused)
    expect(() => plain.assertUrl(new URL('https://evil.example:1/'))).to.throw('https://evil.example:1,')
  })

  it('is said with the address that is not reached', () => {
    expect(refusedAddress('a.example', '10.0.0.1').message).to.match(/^a\.example .*10\.0\.0\.1.*followPrivate/)
    expect(refusedAddress('a.example', undefined).message).to.include('(none)')
  })
})

describe('names of redirects', () => {
  it('are resolved to what may be reached, one address or all', async () => {
    for (const [networks, isReached] of [
      [['127.0.0.0/8', '::1/128'], true],
      [[], false],
    ] as const) {
      const { lookup } = guardOf(['*'], networks)
      const [error, first] = await outcomeOf<unknown>((done) => lookup('localhost', {}, done))
      const [, all] = await outcomeOf<unknown>((done) => lookup('localhost', { all: true }, done))
      if (!isReached)
        expect(error).to.be.instanceOf(RedirectRefused).with.property('message').that.includes('localhost')
      else {
        expect(first).to.be.oneOf(['127.0.0.1', '::1'])
        expect(all)
          .to.be.an('array')
          .that.deep.includes.members([{ address: first, family: first === '::1' ? 6 : 4 }])
      }
    }
  })

  it('fail as the resolver does', async () => {
    const { lookup } = guardOf(['*'])
    const [error] = await outcomeOf<unknown>((done) => lookup('a'.repeat(64), {}, done))
    expect(error).to.have.property('code').that.is.oneOf(['ENOTFOUND', 'EAI_AGAIN', 'EINVAL'])
  })
})

describe('sockets of redirects', () => {
  async function listening() {
    const sockets: Socket[] = []
    const first = Promise.withResolvers<Socket>()
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined))
      first.resolve(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return {
      ...{ sockets, first: first.promise, port: String(address.port) },
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy()
        server.close()
        await once(server, 'close')
      },
    }
  }
  const connected = (guard: RedirectGuard, hostname: string, port: string, protocol = 'http:') =>
    outcomeOf<Socket | null>((done) =>
      guardedConnect(guard, 1_000)({ host: `${hostname}:${port}`, hostname, port, protocol }, (...[error, socket]) =>
        done(error, socket),
      ),
    )

  it('are open where their peer may be reached, with or without a name', async () => {
    await using server = await listening()
    const guard = guardOf(['*', '127.0.0.1'], ['127.0.0.0/8', '::1/128'])
    for (const hostname of ['127.0.0.1', 'localhost']) {
      const [error, socket] = await connected(guard, hostname, server.port)
      expect(error, hostname).to.equal(null)
      expect(socket?.destroyed).to.equal(false)
      socket?.destroy()
    }
    expect(server.sockets).to.have.length(2)
    const [error] = await connected(guardOf(['*']), 'localhost', server.port)
    expect(error).to.be.instanceOf(RedirectRefused)
    expect(server.sockets, 'nothing was connected to').to.have.length(2)
  })

  it('are the caller’s from then on, however long they last and however they end', async () => {
    await using server = await listening()
    const outcomes: (Error | null)[] = []
    const opened = Promise.withResolvers<Socket>()
    const connect = guardedConnect(guardOf(['127.0.0.1']), 50)
    connect({ hostname: '127.0.0.1', port: server.port, protocol: 'http:' }, (...[error, socket]) => {
      outcomes.push(error)
      if (socket !== null) opened.resolve(socket)
    })
    const socket = await opened.promise
    await delay(100)
    expect(socket.destroyed).to.equal(false)
    socket.on('error', () => undefined)
    socket.destroy(new Error('cut'))
    await new Promise((resolve) => socket.once('close', resolve))
    expect(outcomes).to.deep.equal([null])
  })

  it('are closed where the peer is not what the resolver said', async () => {
    await using server = await listening()
    const guard = guardOf(['*'], ['127.0.0.0/8', '::1/128'])
    const asked = mock.method(guard, 'mayConnect', () => false)
    const [error, socket] = await connected(guard, 'localhost', server.port)
    expect(error).to.be.instanceOf(RedirectRefused).with.property('message').that.includes('127.0.0.1')
    expect(socket).to.equal(null)
    expect(asked.mock.calls.map((call) => call.arguments)).to.deep.equal([['localhost', '127.0.0.1']])
    const [peer] = server.sockets
    if (peer !== undefined && !peer.closed) await once(peer.resume(), 'close')
  })

  it('speak TLS where it is asked for, on the very connection whose peer was looked at', async () => {
    await using server = await listening()
    const guard = guardOf(['*'], ['127.0.0.0/8', '::1/128'])
    const outcome = connected(guard, 'localhost', server.port, 'https:')
    const peer = await server.first
    const [hello] = (await once(peer, 'data')) as [Buffer]
    expect([hello[0], hello.includes('localhost')]).to.deep.equal([0x16, true]) // a ClientHello, with the name
    peer.destroy()
    expect((await outcome)[0]).to.be.instanceOf(Error)
    expect(server.sockets).to.have.length(1)
  })

  it('fail where nobody listens', async () => {
    const { port, [Symbol.asyncDispose]: close } = await listening()
    await close()
    const [error] = await connected(guardOf(['127.0.0.1']), '127.0.0.1', port)
    expect(error).to.have.property('code', 'ECONNREFUSED')
  })
})

describe('LFS objects at the Hub', () => {
  const oid = 'a'.repeat(64)
  const request = (query: string) => {
    const target = formatTarget({ operation: 'lfs-object', repository: { type: 'model', id: 'o/n' }, oid }, query)
    const kept = Object.fromEntries(['user-agent', 'via', 'traceparent', 'tracestate'].map((name) => [name, name]))
    const given = upstreamRequest('/x', { headers: { ...kept, range: 'bytes=0-', accept: 'x' } })
    return { kept, target, batch: batchRequestFor(given, target) }
  }

  it('are asked for by one batch, with the size that the target says', () => {
    for (const [query, size] of [
      ['', 0],
      ['size=7', 7],
      ['size=0', 0],
      ['size=-7', 0],
      ['size=1.5', 0],
      ['size=x', 0],
      ['size=9007199254740992', 0],
    ] as const) {
      const { batch, kept } = request(query)
      expect(batch.method).to.equal('POST')
      expect(batch.purpose).to.equal('mirror')
      const type = 'application/vnd.git-lfs+json'
      expect(batch.headers).to.deep.equal({ ...kept, accept: type, 'content-type': type })
      expect(JSON.parse(Buffer.from(batch.body?.bytes ?? '').toString()), query).to.deep.equal({
        ...{ operation: 'download', transfers: ['basic'], objects: [{ oid, size }] },
      })
    }
  })

  it('are where the answer says, asked with what its storage wants', () => {
    const answered = (value: unknown) => ({
      ...{ status: 200, headers: [] },
      body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    })
    const at = (href: unknown, header?: object) => ({ objects: [{ actions: { download: { href, header } } }] })
    const header = {
      ...{
        'X-Amz-Meta': '1',
        Authorization: 'a',
        accept: 'b',
        Host: 'c',
        Xx: 'd',
        'a-x-b': 'e',
        accepts: 'f',
        'x-': 'g',
      },
    }
    const place = placeIn(answered(at('https://cdn.x/a', header)), oid)
    expect(place).to.deep.equal({
      href: 'https://cdn.x/a',
      headers: { 'x-amz-meta': '1', authorization: 'a', accept: 'b' },
    })
    expect(redirectTo(place, request('').target).headers).to.deep.equal([
      ['location', 'https://cdn.x/a'],
      ['x-linked-etag', `"${oid}"`],
    ])
    expect(placeIn(answered(at('http://cdn.x/a')), oid).headers).to.deep.equal({})
    for (const value of [
      ...[
        '<html>',
        {},
        { objects: [] },
        { objects: [{ error: {} }] },
        at('ftp://x/'),
        at('xhttps://x/'),
        at('httpsx://x/'),
      ],
      ...[at('/relative'), at(5), { objects: [...at('https://a.x/').objects, ...at('https://b.x/').objects] }],
    ]) {
      const act = () => placeIn(answered(value), oid)
      expect(act, JSON.stringify(value)).to.throw(HubFailure, oid).with.property('code', 'EntryNotFound')
    }
  })
})
