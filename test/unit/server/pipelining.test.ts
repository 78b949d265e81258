import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect } from 'chai'
import fc from 'fast-check'
import { inTurn } from '../../../src/server/pipelining.ts'
import { readResponse } from '../../security/wire.ts'

/** A server that answers in turn, and how many requests it answers at once. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>) {
  const seen = { begun: 0, open: 0, most: 0 }
  const listener: RequestListener = (request, response) => {
    seen.begun++
    seen.most = Math.max(seen.most, ++seen.open)
    response.once('close', () => seen.open--)
    void answer(request, response)
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, inTurn(listener)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sockets: Socket[] = []
  return {
    seen,
    server,
    connect: (): Socket => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      sockets.push(socket)
      return socket
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Reads the responses to requests of these methods, or as many as come before the connection ends. */
async function read(socket: Socket, methods: readonly string[]): Promise<{ status: number; body: string }[]> {
  const responses: { status: number; body: string }[] = []
  let received = Buffer.alloc(0)
  let ended = false
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
  })
  socket.once('close', () => {
    ended = true
  })
  while (responses.length < methods.length) {
    const taken = readResponse(received, methods[responses.length] ?? '', ended)
    if (taken !== undefined) {
      received = received.subarray(taken.length)
      responses.push({ status: taken.response.status, body: taken.response.body.toString() })
    } else if (ended) break
    else await Promise.race([once(socket, 'data'), once(socket, 'close')])
  }
  return responses
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`

describe('pipelined requests', () => {
  it('are begun one at a time, and the connection is not read meanwhile', async () => {
    const waiting: ServerResponse[] = []
    let arrived: () => void = () => undefined
    let bytesRead = (): number => 0
    await using stage = await serve(({ socket }, response) => {
      bytesRead = () => socket.bytesRead
      waiting.push(response)
      arrived()
    })
    const socket = stage.connect()
    const first = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const requests = 20_000
    socket.write(Array.from({ length: requests }, (_, index) => get(`/${index}`)).join(''))
    await first
    expect(stage.seen.begun).to.equal(1)
    arrived = () => undefined
    const responses = read(
      socket,
      Array.from({ length: 100 }, () => 'GET'),
    )
    for (let index = 0; index < 100; index++) {
      if (waiting[index] === undefined)
        await new Promise<void>((resolve) => {
          arrived = resolve
        })
      waiting[index]?.end(String(index))
    }
    expect((await responses).map(({ body }) => body)).to.deep.equal(
      Array.from({ length: 100 }, (_, index) => String(index)),
    )
    expect(stage.seen.most).to.equal(1)
    // One read had more than a hundred, and the rest still waits in the kernel, or with the client.
    expect(bytesRead()).to.be.at.most(128 * 1024)
  })

  it('are answered in order, with the right bytes, whatever is asked and however it comes', async () => {
    await using stage = await serve(async (request, response) => {
      const body = await buffer(request)
      const [, size = '0', kind = ''] = /size=(\d+)&kind=(\w+)/.exec(request.url ?? '') ?? []
      if (kind === 'later') await new Promise((resolve) => setImmediate(resolve))
      const answer = `${request.url} ${body.length} ${'x'.repeat(Number(size))}`
      if (kind === 'chunked') {
        response.write(answer.slice(0, 5))
        setImmediate(() => response.end(answer.slice(5)))
      } else response.setHeader('Content-Length', answer.length).end(answer)
    })
    const one = fc.record({
      method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST'),
      size: fc.constantFrom(0, 10, 5_000, 300_000),
      kind: fc.constantFrom('once', 'later', 'chunked'),
      sent: fc.constantFrom(0, 1, 70_000, 200_000),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 4_000 }), { maxLength: 5 }),
        async (requests, cuts) => {
          const socket = stage.connect()
          const paths = requests.map(({ size, kind }, index) => `/${index}?size=${size}&kind=${kind}`)
          const bytes = requests
            .map(({ method, sent }, index) => {
              const body = method === 'POST' ? 'b'.repeat(sent) : ''
              const length = method === 'POST' ? `Content-Length: ${sent}\r\n` : ''
              return `${method} ${paths[index]} HTTP/1.1\r\nHost: a\r\n${length}\r\n${body}`
            })
            .join('')
          let at = 0
          for (const cut of cuts) {
            socket.write(bytes.slice(at, at + cut))
            at += cut
            await new Promise((resolve) => setImmediate(resolve))
          }
          socket.write(bytes.slice(at))
          const responses = await read(
            socket,
            requests.map(({ method }) => method),
          )
          const expected = requests.map(({ method, size, sent }, index) =>
            method === 'HEAD' ? '' : `${paths[index]} ${method === 'POST' ? sent : 0} ${'x'.repeat(size)}`,
          )
          expect(responses.map(({ body }) => body)).to.deep.equal(expected)
          // What followed the last is not lost either: the connection is as good as new.
          socket.write(get('/again?size=3&kind=once'))
          expect((await read(socket, ['GET']))[0]?.body).to.equal('/again?size=3&kind=once 0 xxx')
          socket.destroy()
          await once(socket, 'close')
        },
      ),
      { seed: 20_261_125, numRuns: 60 },
    )
    expect(stage.seen.most).to.be.at.most(2) // one that is served, and one whose client has just gone
  })

  it('are not begun behind a response that closes the connection', async () => {
    await using stage = await serve((_, response) => {
      response.setHeader('Connection', 'close').end('last')
    })
    const socket = stage.connect()
    socket.write(get('/').repeat(50))
    expect(await read(socket, ['GET', 'GET'])).to.have.length(1)
    expect(stage.seen.begun).to.equal(1)
  })

  it('are not begun when the client has gone', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<ServerResponse>()
    await using stage = await serve((_, response) => resolve(response))
    const socket = stage.connect()
    socket.write(get('/').repeat(5))
    const response = await begun
    socket.destroy()
    await once(response, 'close')
    await new Promise((settled) => setImmediate(() => setImmediate(settled)))
    expect(stage.seen.begun).to.equal(1)
  })
})
