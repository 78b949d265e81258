import { once } from 'node:events'
import { Failure } from '../hub/failure.ts'
import { ReadingBudget } from './reading-budget.ts'
import type { RequestBody } from './upstream.ts'

export interface BodyReaderOptions {
  /** Bytes of one body. */
  readonly largest?: number
  /** Milliseconds for one to arrive whole. */
  readonly timeout?: number
  /** Bytes that all bodies may take at a time, from their first byte until their request is over. */
  readonly memory?: number
}

/** Bytes that a body is given room for at first; it doubles. */
const firstRoom = 4096

/**
 * Reads bodies whole, where something is decided by them or they may have to be sent twice. There is one for a server:
 * each body has its limits, and all together have one, for anybody may open thousands of connections and send all but
 * the last byte.
 */
export class BodyReader {
  readonly #options: Required<BodyReaderOptions>
  readonly #budget: ReadingBudget

  constructor(options: BodyReaderOptions = {}) {
    this.#options = { largest: 1024 * 1024, timeout: 30_000, memory: 32 * 1024 * 1024, ...options }
    this.#budget = new ReadingBudget(this.#options.memory)
  }

  /** Bytes of one body; a larger one is refused. */
  get largest(): number {
    return this.#options.largest
  }

  /**
   * @param signal aborted when the request is over, however it ended: its body is given up then
   *
   * Rejects with a `Failure`: 413 where the body is larger than the limit, 408 where it is late, 400 where it breaks off,
   * 503 where too much is held for others.
   */
  async read(body: RequestBody, signal: AbortSignal): Promise<Uint8Array> {
    if (body.bytes !== undefined) return body.bytes
    const { largest, timeout } = this.#options
    const tooLarge = (): Failure => new Failure('BodyTooLarge', 413, `the body is larger than ${largest} bytes`)
    if ((body.length ?? 0) > largest) throw tooLarge()
    signal.throwIfAborted()
    const room = this.#roomUntil(signal)
    const stream = body.take()
    // Copied together: a body of tiny chunks would take a hundred times its size.
    let bytes = Buffer.alloc(0)
    let size = 0
    const late = setTimeout(
      () => stream.destroy(new Failure('BodyTimeout', 408, `the body did not arrive within ${timeout / 1000} s`)),
      timeout,
    )
    const onData = (chunk: Buffer): void => {
      if (stream.destroyed) return
      if (size + chunk.length > largest) return void stream.destroy(tooLarge())
      if (size + chunk.length > bytes.length) {
        const wanted = Math.max(firstRoom, 2 * bytes.length, size + chunk.length)
        if (!room.grow(wanted - bytes.length)) return void stream.destroy(tooManyBodies())
        bytes = Buffer.concat([bytes.subarray(0, size)], wanted)
      }
      bytes.set(chunk, size)
      size += chunk.length
    }
    stream.on('data', onData)
    try {
      await once(stream, 'end', { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      clearTimeout(late)
      stream.off('data', onData)
      stream.on('error', () => undefined) // told by then
      stream.destroy()
    }
    return bytes.subarray(0, size)
  }

  #roomUntil(signal: AbortSignal): { grow(bytes: number): boolean } {
    let taken = 0
    signal.addEventListener('abort', () => this.#budget.give(taken), { once: true })
    return {
      grow: (bytes) => {
        if (signal.aborted || !this.#budget.tryTake(bytes)) return false
        taken += bytes
        return true
      },
    }
  }
}

function tooManyBodies(): Failure {
  return new Failure('TooManyBodies', 503, 'too much is being sent to this server at a time: try again in a moment')
}
