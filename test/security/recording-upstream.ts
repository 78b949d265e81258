import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { readChunked } from './wire.ts'

/** What the upstream does with a request. */
export const behaviours = [
  'answer',
  'answer-early',
  'answer-early-and-close',
  'answer-503',
  'drop-at-head',
  'drop-at-first-byte',
  'drop-after-body',
  'half-close',
] as const
export type Behaviour = (typeof behaviours)[number]

/** A request as it lay on the wire: head, and as much of its body as came. */
export interface WireRequest {
  readonly line: string
  readonly target: string
  readonly headers: ReadonlyMap<string, string>
  body: Buffer
  isWhole: boolean
}

export interface Expectations {
  /** How to treat a request; `undefined`: nobody sent such a request. */
  behaviourFor(request: WireRequest): Behaviour | undefined
  /** Why a request, whole or cut, is not as its client sent it. */
  objection(request: WireRequest): string | undefined
}

/** An upstream that takes its connections' bytes apart itself, strictly, and reports all that it can't account for. */
export class RecordingUpstream {
  readonly objections: string[] = []
  /** Requests whose heads came. */
  count = 0
  readonly #expectations: Expectations
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined

  constructor(expectations: Expectations) {
    this.#expectations = expectations
  }

  async start(): Promise<string> {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket)).listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let received = Buffer.alloc(0)
    let current: { request: WireRequest; start: number; behaviour: Behaviour } | undefined
    const object = (reason: string) => {
      this.objections.push(reason)
      socket.destroy()
    }
    const step = (): boolean => {
      if (current === undefined) {
        const headEnd = received.indexOf('\r\n\r\n')
        if (headEnd === -1) return false
        const request = readHead(received.toString('latin1', 0, headEnd))
        if (typeof request === 'string') {
          object(request)
          return false
        }
        this.count += 1
        const behaviour = this.#expectations.behaviourFor(request)
        if (behaviour === undefined) {
          object(`nobody sent ${request.line}`)
          return false
        }
        current = { request, start: headEnd + 4, behaviour }
        if (behaviour === 'drop-at-head') socket.destroy()
        if (behaviour === 'answer-early') answer(socket, request, 200)
        if (behaviour === 'answer-early-and-close') answer(socket, request, 200, true)
      }
      const { request, start, behaviour } = current
      const body = readBody(request, received, start)
      if (typeof body === 'string') {
        object(`${request.line}: ${body}`)
        return false
      }
      request.body = body.bytes
      if (behaviour === 'drop-at-first-byte' && body.bytes.length > 0) socket.destroy()
      if (body.end === undefined) return false
      request.isWhole = true
      const objection = this.#expectations.objection(request)
      if (objection !== undefined) this.objections.push(`${request.line}: ${objection}`)
      if (behaviour === 'drop-after-body' || behaviour === 'drop-at-first-byte') socket.destroy()
      if (behaviour === 'half-close') socket.end()
      if (behaviour === 'answer') answer(socket, request, 200)
      if (behaviour === 'answer-503') answer(socket, request, 503)
      received = received.subarray(body.end)
      current = undefined
      return received.length > 0
    }
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (!socket.destroyed && step());
    })
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (current === undefined) return
      const objection = this.#expectations.objection(current.request)
      if (objection !== undefined) this.objections.push(`${current.request.line}, cut: ${objection}`)
    })
  }
}

function answer(socket: Socket, request: WireRequest, status: number, close = false): void {
  const body = request.line.startsWith('HEAD') ? '' : JSON.stringify({ for: request.target })
  socket.write(
    `HTTP/1.1 ${status} Said\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `${close ? 'Connection: close\r\n' : ''}\r\n${body}`,
  )
  if (close) socket.end()
}

/** A request's head, or why it is none. */
function readHead(head: string): WireRequest | string {
  const [line = '', ...fields] = head.split('\r\n')
  const target = /^[A-Z]+ (\/[!-~]*) HTTP\/1\.1$/.exec(line)?.[1]
  if (target === undefined) return `bytes that are no request: ${JSON.stringify(head.slice(0, 120))}`
  const headers = new Map<string, string>()
  for (const field of fields) {
    const [, name = '', value = ''] = /^([!-9;-~]+):[ \t]*(.*?)[ \t]*$/.exec(field) ?? []
    if (name === '') return `${line}: no field: ${JSON.stringify(field)}`
    if (headers.has(name.toLowerCase())) return `${line}: ${name} comes twice`
    headers.set(name.toLowerCase(), value)
  }
  if (headers.has('content-length') && headers.has('transfer-encoding')) return `${line}: framed in two ways`
  return { line, target, headers, body: Buffer.alloc(0), isWhole: false }
}

/** As much of the body as came, and where it ends; or why it is none. */
function readBody(
  { headers }: WireRequest,
  received: Buffer,
  start: number,
): { bytes: Buffer; end: number | undefined } | string {
  if (headers.get('transfer-encoding') === 'chunked') {
    try {
      const chunked = readChunked(received, start)
      return { bytes: chunked?.body ?? firstChunk(received, start), end: chunked?.end }
    } catch (error) {
      return String(error)
    }
  }
  if (headers.has('transfer-encoding')) return `coded as ${headers.get('transfer-encoding')}`
  const length = Number(headers.get('content-length') ?? 0)
  if (!Number.isSafeInteger(length)) return 'no length'
  const end = start + length
  return { bytes: received.subarray(start, end), end: received.length >= end ? end : undefined }
}

/** The first chunk of a body that is not whole: enough to see whose it is. */
function firstChunk(received: Buffer, start: number): Buffer {
  const lineEnd = received.indexOf('\r\n', start)
  if (lineEnd === -1) return Buffer.alloc(0)
  const size = Number.parseInt(received.toString('latin1', start, lineEnd), 16)
  return received.subarray(lineEnd + 2, lineEnd + 2 + size)
}
