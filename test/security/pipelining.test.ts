import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'
import { readResponse } from './wire.ts'

const connections = 5
const pipelined = 400

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** Connections that ask for all of these, one behind the other, and read nothing. */
async function pipeline(url: string, pathsOf: (connection: number) => readonly string[]): Promise<Socket[]> {
  const { hostname, port } = new URL(url)
  return await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.pause()
      await once(socket, 'connect')
      socket.write(pathsOf(index).map(get).join(''))
      return socket
    }),
  )
}

describe('a client that asks for a thousand things at once', () => {
  let stage: Stage
  const file = '/org/model/resolve/main/big.safetensors'

  before(async () => {
    stage = await setStage((hub) => {
      hub.add({ type: 'model', id: 'org/model' }).commit({
        'big.safetensors': syntheticContent(40_000_000),
        'config.json': '{"a":1}',
      })
    })
    await stage.mirror('org/model')
  })
  after(async () => {
    await stage[Symbol.asyncDispose]()
  })

  it('has one file open for each connection', async function () {
    if (process.platform !== 'linux') this.skip()
    const descriptors = async () => (await readdir(`/proc/${stage.server.child.pid}/fd`)).length
    const idle = await descriptors()
    const sockets = await pipeline(stage.server.url, () => Array.from({ length: pipelined }, () => file))
    for (const socket of sockets) socket.read(1) // what is below is asked for when the first answers have begun
    let most = 0
    for (let asked = 0; asked < 20; asked++) {
      // Answered after the requests before it have come in; ten times over, with the library's work between.
      expect((await stage.get(file, { headers: { range: 'bytes=0-9' } })).status).to.equal(206)
      most = Math.max(most, (await descriptors()) - idle)
    }
    for (const socket of sockets) socket.destroy()
    // A connection has its socket, the file, and the kernel's way into the socket.
    expect(most).to.be.at.most(connections * 3 + 20)
  })

  it('is answered in order, the first by the application and the others from the replies of a moment ago', async () => {
    const { hostname, port } = new URL(stage.server.url)
    const socket = connect(Number(port), hostname)
    const names = Array.from({ length: 60 }, (_, index) => (index % 3 === 0 ? 'none.json' : 'config.json'))
    socket.write(
      names.map((name) => get(`/org/model/resolve/main/${name}`)).join('') +
        'GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'close')
    let received = Buffer.concat(chunks)
    for (const name of names) {
      const taken = readResponse(received, 'GET', true)
      expect(taken?.response.status, name).to.equal(name === 'config.json' ? 200 : 404)
      if (name === 'config.json') expect(taken?.response.body.toString()).to.equal('{"a":1}')
      received = received.subarray(taken?.length)
    }
    expect(readResponse(received, 'GET', true)?.response.status).to.equal(200)
  })

  it('has what was begun, and a connection that ends, when the server stops meanwhile', async () => {
    const server = await startMirrorFace(['--local-directory', stage.directory, '--upstream-url', stage.hub.url])
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    socket.write([file, ...Array.from({ length: 50 }, () => '/org/model/resolve/main/config.json')].map(get).join(''))
    await once(socket, 'readable')
    const stopped = server.stop()
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(socket, 'close')
    expect((await stopped).code).to.equal(0)
    const received = Buffer.concat(chunks)
    const first = readResponse(received, 'GET', true)
    expect(first?.response.body.length).to.equal(40_000_000)
    const second = readResponse(received.subarray(first?.length), 'GET', true)
    if (second !== undefined) expect(second.response.head).to.match(/\r\nconnection: close/i)
    expect(received.length).to.equal((first?.length ?? 0) + (second?.length ?? 0))
  })

  it('has one question at the upstream for each connection', async () => {
    let open = 0
    let most = 0
    let seen = 0
    const { promise: enough, resolve } = Promise.withResolvers<void>()
    const upstream = createServer((_, response) => {
      most = Math.max(most, ++open)
      if (++seen === connections * 10) resolve()
      response.once('close', () => open--)
      setTimeout(() => response.setHeader('Content-Type', 'application/json').end('{}'), 20)
    }).listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    await using folder = await temporaryFolder()
    const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
    const server = await startMirrorFace(['--local-directory', folder.path, '--upstream-url', url])
    try {
      const sockets = await pipeline(server.url, (connection) =>
        Array.from({ length: pipelined }, (_, index) => `/org/other/resolve/main/${connection}-${index}`),
      )
      await enough
      for (const socket of sockets) socket.destroy()
      // The upstream may see the end of a question a moment after the beginning of the next.
      expect(most).to.be.at.most(connections * 2)
    } finally {
      await server.stop()
      upstream.closeAllConnections()
      upstream.close()
    }
  })
})
