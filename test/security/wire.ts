import { connect, type Socket } from 'node:net'

/** A response, as it came off the wire. */
export interface WireResponse {
  readonly status: number
  /** Status line and header fields. */
  readonly head: string
  readonly body: Buffer
}

/** One connection kept alive, which takes requests one after another, byte for byte as they are given. */
export class WireConnection {
  readonly #port: number
  #socket: Socket | undefined
  #received = Buffer.alloc(0)
  #wake: () => void = () => undefined
  #closed = true

  constructor(port: number) {
    this.#port = port
  }

  /** The response; `undefined` where the server closed the connection without one. */
  async ask(request: Buffer, method: string): Promise<WireResponse | undefined> {
    const socket = this.#connected()
    socket.write(request)
    const response = await this.#read(method)
    if (response === undefined || /\r\nconnection: close/i.test(response.head)) this.close()
    return response
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #connected(): Socket {
    if (this.#socket !== undefined && !this.#closed) return this.#socket
    this.#received = Buffer.alloc(0)
    this.#closed = false
    const socket = connect(this.#port, '127.0.0.1')
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#closed = true
      this.#wake()
    })
    this.#socket = socket
    return socket
  }

  async #read(method: string): Promise<WireResponse | undefined> {
    for (;;) {
      const parsed = readResponse(this.#received, method, this.#closed)
      if (parsed !== undefined) {
        this.#received = this.#received.subarray(parsed.length)
        return parsed.response
      }
      if (this.#closed) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

/** Takes one final response off `bytes`; `undefined`: it is not whole yet. */
export function readResponse(
  bytes: Buffer,
  method: string,
  ended: boolean,
): { response: WireResponse; length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const status = Number(head.slice(9, 12))
  const start = headEnd + 4
  if (status >= 100 && status < 200) {
    const next = readResponse(bytes.subarray(start), method, ended)
    return next === undefined ? undefined : { response: next.response, length: next.length + start }
  }
  const finish = (body: Buffer, length: number) => ({ response: { status, head, body }, length })
  if (method === 'HEAD' || status === 204 || status === 304) return finish(Buffer.alloc(0), start)
  if (/\r\ntransfer-encoding: chunked/i.test(head)) {
    const chunked = readChunked(bytes, start)
    return chunked === undefined ? undefined : finish(chunked.body, chunked.end)
  }
  const announced = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (announced === undefined) return ended ? finish(bytes.subarray(start), bytes.length) : undefined
  const end = start + Number(announced)
  return bytes.length < end ? undefined : finish(bytes.subarray(start, end), end)
}

/** A chunked body from `start` on; `undefined`: it is not whole yet. Throws where it is no such body. */
export function readChunked(bytes: Buffer, start: number): { body: Buffer; end: number } | undefined {
  const parts: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const line = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-f]+(?:;.*)?$/i.test(line)) throw new Error(`no chunk: ${JSON.stringify(line.slice(0, 60))}`)
    const size = Number.parseInt(line, 16)
    const from = lineEnd + 2
    if (bytes.length < from + size + 2) return undefined
    if (size === 0) return { body: Buffer.concat(parts), end: from + 2 }
    parts.push(bytes.subarray(from, from + size))
    at = from + size + 2
  }
}
