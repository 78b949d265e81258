import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import { readyAtOnce } from '../../../../src/server/delivery/ready-reply.ts'
import { type Recipient, ReplyWriter, type Written } from '../../../../src/server/delivery/reply-writer.ts'
import type { Reply } from '../../../../src/server/reply.ts'

const sendTimeout = 300
const mirror = { url: 'http://mirror.example/mirror', path: '/mirror' }
const reply = (body: Reply['body'], more: Partial<Reply> = {}): Reply => ({
  status: 200,
  headers: [],
  body,
  source: 'hub',
  outcome: 'fallback',
  ...more,
})

interface Served extends AsyncDisposable {
  readonly port: number
  readonly written: Promise<Written>
  get(method?: string): Promise<IncomingMessage>
}

/** A server that writes one reply to whatever it is asked. */
async function serve(made: Reply, to: Partial<Recipient> = {}): Promise<Served> {
  const writer = new ReplyWriter({ pseudonym: 'mirrorface-1', sendTimeout })
  const written = Promise.withResolvers<Written>()
  const server = createServer(({ method = '', headers }, response) => {
    const recipient = { id: 'id-1', method, mirror, allowedOrigin: '*', closes: false, ...to }
    writer.write(readyAtOnce(made, { method, headers }), recipient, response).then(written.resolve, written.reject)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    written: written.promise,
    get: async (method = 'GET') => {
      const asked = httpRequest({ port, host: '127.0.0.1', method, agent: false }).end()
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      return response
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

const breaksOff = (response: IncomingMessage): Promise<boolean> =>
  buffer(response).then(
    () => false,
    () => true,
  )

/** Pieces of a body that goes on for as long as it is read. */
function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(65_536)
}

describe('the writer of replies', () => {
  it('writes what belongs to the request, and nothing that an upstream may not say for this server', async () => {
    const headers = [
      ['set-cookie', 'a=b'],
      ['strict-transport-security', 'max-age=1'],
      ['alt-svc', 'h3=":1"'],
      ['clear-site-data', '"*"'],
      ['connection', 'x-repo-commit'],
      ['transfer-encoding', 'chunked'],
      ['x-request-id', 'theirs'],
      ['via', '1.1 other'],
      ['location', '/api/models/x'],
      ['link', '</api/a?cursor=1>; rel="next", <https://hub.example/b>; rel="x", <//evil.example/c>; rel="y"'],
    ] as const
    await using served = await serve(reply({ kind: 'bytes', bytes: Buffer.from('{}') }, { headers }))
    const response = await served.get()
    expect((await buffer(response)).toString()).to.equal('{}')
    const { date, ...found } = response.headers
    expect(found).to.deep.equal({
      location: '/mirror/api/models/x',
      link: '<http://mirror.example/mirror/api/a?cursor=1>; rel="next", <https://hub.example/b>; rel="x", <//evil.example/c>; rel="y"',
      'content-length': '2',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': found['access-control-expose-headers'],
      via: '1.1 other, 1.1 mirrorface-1',
      'x-request-id': 'id-1',
      connection: 'close', // the client's own: it has no agent
    })
  })

  it('tells caches that another origin may be told something else', async () => {
    for (const allowedOrigin of ['https://app.example', undefined]) {
      await using served = await serve(reply({ kind: 'none' }), { allowedOrigin })
      const { headers } = await served.get()
      expect(headers.vary).to.equal('Origin')
      expect(headers['access-control-allow-origin']).to.equal(allowedOrigin)
    }
  })

  for (const [name, made] of Object.entries({
    'a HEAD keeps the length that the upstream says': reply(
      { kind: 'bytes', bytes: new Uint8Array() },
      { headers: [['content-length', '1234']] },
    ),
    'a HEAD of bytes has their length': reply({ kind: 'bytes', bytes: Buffer.alloc(1234) }),
    'a HEAD never reads a stream': reply(
      { kind: 'stream', stream: Readable.from(endless()) },
      { headers: [['content-length', '1234']] },
    ),
  })) {
    it(name, async () => {
      await using served = await serve(made)
      const response = await served.get('HEAD')
      expect(response.headers['content-length']).to.equal('1234')
      expect(await buffer(response)).to.have.length(0)
      expect(await served.written).to.deep.equal({ status: 200, bytes: 0, failure: undefined, sourceFailed: false })
    })
  }

  for (const status of [204, 304]) {
    it(`sends no body with ${status}, whatever the upstream sent`, async () => {
      await using served = await serve(reply({ kind: 'stream', stream: Readable.from([Buffer.from('x')]) }, { status }))
      const response = await served.get()
      expect(response.statusCode).to.equal(status)
      expect(await buffer(response)).to.have.length(0)
    })
  }

  it('streams a body of unknown length', async () => {
    await using served = await serve(
      reply({ kind: 'stream', stream: Readable.from([Buffer.from('ab'), Buffer.from('c')]) }),
    )
    expect((await buffer(await served.get())).toString()).to.equal('abc')
    expect(await served.written).to.deep.equal({ status: 200, bytes: 3, failure: undefined, sourceFailed: false })
  })

  for (const [how, pieces] of Object.entries({
    'is shorter than announced': async function* () {
      yield Buffer.alloc(10)
    },
    'is longer than announced': async function* () {
      yield Buffer.alloc(2000)
      yield Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    },
    fails: async function* () {
      yield Buffer.alloc(10)
      throw new Error('reset by the upstream')
    },
  })) {
    it(`cuts the connection where a body ${how}`, async () => {
      const stream = Readable.from(pieces(), { objectMode: false })
      await using served = await serve(reply({ kind: 'stream', stream }, { headers: [['content-length', '1000']] }))
      // Before the head has left, or within the body.
      expect(await served.get().then(breaksOff, () => true)).to.equal(true)
      const { failure, bytes, sourceFailed } = await served.written
      expect(failure).to.be.instanceOf(Error)
      expect(sourceFailed).to.equal(true)
      expect(bytes).to.be.at.most(1000)
      expect(stream.destroyed).to.equal(true)
    })
  }

  it('cuts a client that stops reading, and closes what it read from', async () => {
    const stream = Readable.from(endless(), { objectMode: false })
    await using served = await serve(reply({ kind: 'stream', stream }))
    const client = connect(served.port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    client.pause()
    const { failure, sourceFailed } = await served.written
    expect(failure).to.have.property('code', 'ReaderStopped')
    expect(sourceFailed).to.equal(false)
    expect(stream.destroyed).to.equal(true)
    client.destroy()
  })

  it('does not cut a client that waits for the source', async () => {
    const slow = async function* () {
      yield Buffer.from('a')
      // Three times the limit: a timer that was not set again would go unnoticed after one.
      await new Promise((resolve) => setTimeout(resolve, sendTimeout * 3))
      yield Buffer.from('b')
    }
    await using served = await serve(reply({ kind: 'stream', stream: Readable.from(slow(), { objectMode: false }) }))
    expect((await buffer(await served.get())).toString()).to.equal('ab')
  })

  it("takes a client that goes away for nobody's failure", async () => {
    const stream = Readable.from(endless(), { objectMode: false })
    await using served = await serve(reply({ kind: 'stream', stream }))
    const response = await served.get()
    response.destroy()
    expect((await served.written).failure).to.equal(undefined)
    expect(stream.destroyed).to.equal(true)
  })

  it('rejects before the head where it cannot be written', async () => {
    await using served = await serve(reply({ kind: 'none' }, { headers: [['x', 'a\nb']] }))
    const asked = httpRequest({ port: served.port, host: '127.0.0.1', agent: false }).end()
    asked.on('error', () => undefined)
    const failure = await served.written.then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(failure).to.be.instanceOf(TypeError)
  })
})
