import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { mock } from 'node:test'
import type { PluginLogger, Upstream } from 'mirrorface/plugin'
import plugin from '../../../plugins/upstream-hub/index.ts'

/** One line that the plugin logged. */
export interface Logged {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

export function recordingLogger(lines: Logged[]): PluginLogger {
  const record = (level: Logged['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  return { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') }
}

/** The plugin with these options. */
export async function openHub(options: Record<string, unknown>, lines: Logged[] = []): Promise<Upstream> {
  return await plugin.create(plugin.options.parse(options), { logger: recordingLogger(lines) })
}

/** Attempts follow each other at once while it lasts: the pauses between them are some milliseconds times a random number. */
export function withoutPauses(): Disposable {
  const random = mock.method(Math, 'random', () => -0.5)
  return { [Symbol.dispose]: () => random.mock.restore() }
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What it was asked, in order. */
  readonly requests: IncomingMessage[]
  handler: Handler
}

/** An HTTP server of a test, on another address where it is to be another host. */
export async function startServer(handler: Handler, host = '127.0.0.1'): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const server = createHttpServer((request, response) => {
    requests.push(request)
    started.handler(request, response)
  }).listen(0, host)
  server.keepAliveTimeout = 0 // whoever closes a connection is not the server
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const started: TestServer = {
    url: `http://${host}:${port}`,
    port,
    requests,
    handler,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return started
}

export interface RawServer extends AsyncDisposable {
  readonly url: string
  /** Every byte of each connection, in the order in which they were opened. */
  readonly received: Buffer[]
  readonly sockets: Socket[]
}

/** Records bytes as they come, and answers as it is told: nothing between the test and the wire. */
export async function startRawServer(onData: (socket: Socket, received: Buffer) => void): Promise<RawServer> {
  const received: Buffer[] = []
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    const index = sockets.push(socket) - 1
    received[index] = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      received[index] = Buffer.concat([received[index] ?? Buffer.alloc(0), chunk])
      onData(socket, received[index])
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    sockets,
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** One request as it lay on the wire. */
export interface RawRequest {
  readonly line: string
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

/** All requests of one connection's bytes, parsed by the framing that they declare; throws where bytes are left over. */
export function parseRequests(bytes: Buffer): RawRequest[] {
  const requests: RawRequest[] = []
  let rest = bytes
  while (rest.length > 0) {
    const headEnd = rest.indexOf('\r\n\r\n')
    if (headEnd === -1) throw new Error(`no whole head: ${JSON.stringify(rest.toString('latin1').slice(0, 200))}`)
    const [line = '', ...lines] = rest.subarray(0, headEnd).toString('latin1').split('\r\n')
    const headers = lines.map((text) => {
      const colon = text.indexOf(':')
      return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const
    })
    const { body, length } = bodyOfRaw(rest.subarray(headEnd + 4), headers)
    requests.push({ line, headers, body })
    rest = rest.subarray(headEnd + 4 + length)
  }
  return requests
}

export function rawHeader(request: RawRequest, name: string): string | undefined {
  const values = request.headers.filter(([one]) => one === name)
  if (values.length > 1) throw new Error(`${name} comes ${values.length} times`)
  return values[0]?.[1]
}

function bodyOfRaw(rest: Buffer, headers: RawRequest['headers']): { body: Buffer; length: number } {
  const lengths = headers.filter(([name]) => name === 'content-length')
  const codings = headers.filter(([name]) => name === 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Error('framed twice')
  if (codings.length === 0) {
    const length = Number(lengths[0]?.[1] ?? 0)
    if (rest.length < length) throw new Error('the body is cut short')
    return { body: rest.subarray(0, length), length }
  }
  const chunks: Buffer[] = []
  let offset = 0
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', offset)
    if (lineEnd === -1) throw new Error('the chunks are cut short')
    const size = Number.parseInt(rest.subarray(offset, lineEnd).toString('latin1'), 16)
    chunks.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size))
    offset = lineEnd + 2 + size + 2
    if (size === 0) return { body: Buffer.concat(chunks), length: offset }
  }
}
