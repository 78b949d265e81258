import type { ServerResponse } from 'node:http'
import type { MirrorAddress } from '../received-request.ts'
import { cutBy } from './cut.ts'
import type { ReadyReply } from './ready-reply.ts'
import { replyHead } from './reply-head.ts'
import { sendStream } from './send-stream.ts'
import { limitStalls } from './send-timeout.ts'

export interface WriterOptions {
  /** This deployment's name in `Via` (RFC 9110 §7.6.3). */
  readonly pseudonym: string
  /** Milliseconds for which a client may take nothing of what waits for it. */
  readonly sendTimeout: number
}

/** What the writer must know of the request. */
export interface Recipient {
  readonly id: string
  readonly method: string
  readonly mirror: MirrorAddress
  /** `Access-Control-Allow-Origin`; `undefined`: no page of another origin may read the reply. */
  readonly allowedOrigin: string | undefined
  /** Whether the connection is closed afterwards. */
  readonly closes: boolean
  /**
   * Reads past what is left of the request's body, for a limited time. Closed before, the connection would be reset,
   * and a client that is still sending would never see the reply (RFC 9112 §9.6).
   */
  readonly readPast?: (() => Promise<void>) | undefined
}

/** What became of a reply. */
export interface Written {
  readonly status: number
  /** Body bytes handed to the kernel. */
  readonly bytes: number
  /** Why the body broke off; `undefined` as well where the client has gone, which is nobody's failure. */
  readonly failure: unknown
  /** Whether it was what the body came from that failed. */
  readonly sourceFailed: boolean
}

/** Bytes that a socket's send buffer takes even where the system gives it the least. */
const largestAtOnce = 4096

/** Writes every response of the server. */
export class ReplyWriter {
  readonly #options: WriterOptions

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /**
   * Writes head and body; resolves when the body is with the kernel or has broken off: then the connection is cut, so
   * that nobody takes half a body for a whole one. Rejects only before the head is written.
   */
  async write(ready: ReadyReply, to: Recipient, response: ServerResponse): Promise<Written> {
    const { body, status } = ready
    if (body.kind === 'none' || body.kind === 'bytes') return this.writeAtOnce(ready, to, response)
    let bytes = 0
    const onBytes = (count: number): void => {
      bytes += count
    }
    try {
      const { head, length } = replyHead(ready, to, this.#options.pseudonym)
      response.writeHead(status, head)
      if (hasBody(ready, to)) {
        limitStalls(response, this.#options.sendTimeout)
        if (body.kind === 'open') await body.open.send(response, onBytes)
        else await sendStream(body.stream, response, { length, onBytes })
      }
      if (!response.destroyed) end(response, to)
      return { status, bytes, failure: cutBy(response), sourceFailed: false }
    } catch (error) {
      if (!response.headersSent) throw error
      const sourceFailed = !response.destroyed
      response.destroy()
      return { status, bytes, failure: sourceFailed ? error : cutBy(response), sourceFailed }
    } finally {
      if (body.kind === 'open') await body.open.close()
      else body.stream.destroy()
    }
  }

  /** The same for a reply whose body is at hand. Throws only before the head is written. */
  writeAtOnce(ready: ReadyReply, to: Recipient, response: ServerResponse): Written {
    const { body, status } = ready
    const { head } = replyHead(ready, to, this.#options.pseudonym)
    response.writeHead(status, head)
    if (body.kind !== 'bytes' || !hasBody(ready, to)) {
      end(response, to)
      return { status, bytes: 0, failure: undefined, sourceFailed: false }
    }
    // What is small goes into the socket's buffer at once, unless earlier responses still wait there.
    const mayWait = body.bytes.length > largestAtOnce || response.writableLength > 0
    if (mayWait) limitStalls(response, this.#options.sendTimeout)
    end(response, to, body.bytes)
    return { status, bytes: body.bytes.length, failure: undefined, sourceFailed: false }
  }
}

function end(response: ServerResponse, { readPast }: Recipient, bytes?: Uint8Array): void {
  if (readPast === undefined) {
    response.end(bytes)
    return
  }
  if (bytes === undefined) response.flushHeaders()
  else response.write(bytes)
  void readPast().then(() => response.end())
}

function hasBody({ status }: ReadyReply, { method }: Recipient): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304
}
