import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { Failure, UsageFailure } from '../hub/failure.ts'
import type { RequestBody } from './upstream.ts'

/** A body that is at hand: it may be sent as often as need be. */
export function bodyOfBytes(bytes: Uint8Array): RequestBody {
  return { length: bytes.length, bytes, isSpent: false, take: () => Readable.from([bytes], { objectMode: false }) }
}

/**
 * A body that arrives: it can be taken once. `undefined` where the request has none.
 * @param onWanted called when somebody is about to read it
 */
export function bodyOfRequest(
  request: IncomingMessage,
  onWanted: () => void = () => undefined,
): RequestBody | undefined {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers
  if (!hasBody(request)) return undefined
  return new ArrivingBody(request, coding === undefined ? Number(length) : undefined, onWanted)
}

/** RFC 9112 §6.3. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
}

/** Milliseconds for which a client may send nothing of the body that it announced. */
const idleTimeout = 60_000

class ArrivingBody implements RequestBody {
  readonly length: number | undefined
  readonly bytes = undefined
  readonly #request: IncomingMessage
  readonly #onWanted: () => void
  #isSpent = false

  constructor(request: IncomingMessage, length: number | undefined, onWanted: () => void) {
    this.#request = request
    this.#onWanted = onWanted
    this.length = length
  }

  get isSpent(): boolean {
    return this.#isSpent
  }

  take(): Readable {
    if (this.#isSpent) throw new TypeError('the body was taken before')
    this.#isSpent = true
    this.#onWanted()
    return detached(this.#request)
  }
}

/** A stream of its own: whoever destroys it does not destroy the client's connection, which a reply must still go over. */
function detached(request: IncomingMessage): Readable {
  const body = new PassThrough()
  // A client may go before an upstream reads its body, or after it gave up: that is nobody's fault, and no crash.
  body.on('error', () => undefined)
  const idle = setTimeout(() => {
    if (request.isPaused()) idle.refresh()
    else fail(new Failure('BodyTimeout', 408, `nothing of the body came for ${idleTimeout / 1000} s`))
  }, idleTimeout)
  const fail = (cause: unknown): void => {
    body.destroy(cause instanceof Failure ? cause : new UsageFailure('the request body broke off', { cause }))
  }
  const onData = (): unknown => idle.refresh()
  request.on('data', onData)
  request.once('error', fail)
  const onClose = (): void => {
    if (!request.readableEnded) fail(undefined)
  }
  request.once('close', onClose)
  // Nothing of the body stays with a request that goes on for long.
  body.once('close', () => {
    clearTimeout(idle)
    request.off('data', onData)
    request.off('error', fail)
    request.off('close', onClose)
    request.unpipe(body)
    request.resume() // what nobody wants is read past, so that the connection can be used again
  })
  request.pipe(body)
  return body
}
