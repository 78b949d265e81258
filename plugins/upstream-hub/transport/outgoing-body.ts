import { Readable } from 'node:stream'
import { describeError, type RequestBody } from 'mirrorface/plugin'
import { RequestBodyFailed } from './failures.ts'

/**
 * A client's body on its way to the upstream. Its framing comes from here alone. It knows who is slow: the client that
 * has not sent the next bytes, or the upstream that has not taken the last ones.
 */
export class OutgoingBody {
  /** `undefined`: chunked. */
  readonly length: number | undefined
  readonly stream: Readable
  /** Why the client's body failed, once it has. */
  failure: RequestBodyFailed | undefined
  /** When bytes were handed over that the upstream has not taken yet, by `performance.now()`. */
  #handedOverAt: number | undefined

  constructor(body: RequestBody) {
    if (body.bytes === undefined) {
      this.length = body.length
      this.stream = Readable.from(this.#pass(body.take()), { objectMode: false })
    } else {
      this.length = body.bytes.byteLength
      this.stream = Readable.from(body.bytes.byteLength === 0 ? [] : [body.bytes])
    }
    this.stream.on('error', () => undefined) // the wire learns of it from `failure` and from the request that ends
  }

  /** Headers that frame it. */
  get framing(): Readonly<Record<string, string>> {
    return this.length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(this.length) }
  }

  /** Whether the upstream has left bytes untaken for so many milliseconds. */
  isStuck(milliseconds: number): boolean {
    return this.#handedOverAt !== undefined && performance.now() - this.#handedOverAt >= milliseconds
  }

  async *#pass(source: Readable): AsyncGenerator<Buffer> {
    let sent = 0
    try {
      // The source is the server's: an answer that comes early must not destroy the connection it is to be sent on.
      for await (const chunk of source.iterator({ destroyOnReturn: false })) {
        const bytes: Buffer = chunk
        sent += bytes.length
        // More would be read as the next request on this connection.
        if (this.length !== undefined && sent > this.length) throw new Error('it is longer than announced')
        this.#handedOverAt = performance.now()
        yield bytes
        this.#handedOverAt = undefined
      }
      if (this.length !== undefined && sent < this.length) throw new Error('it is shorter than announced')
    } catch (error) {
      this.failure = new RequestBodyFailed(`the request's body failed: ${describeError(error)}`, { cause: error })
      throw this.failure
    }
  }
}
