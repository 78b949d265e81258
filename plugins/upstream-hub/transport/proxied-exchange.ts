import type { ClientRequest, IncomingMessage } from 'node:http'
import { ConnectFailed, UpstreamTimeout } from './failures.ts'
import type { Limits } from './limits.ts'
import type { WireRequest } from './wire-request.ts'

/** One request on the proxied wire, from the socket to the last byte of its answer, and every limit on the way. */
export class ProxiedExchange {
  /** Rejects where no head came. */
  readonly head: Promise<IncomingMessage>
  readonly #request: WireRequest
  readonly #limits: Limits
  readonly #giveUp: () => void
  readonly #settle = Promise.withResolvers<IncomingMessage>()
  readonly #stopWatchingDeadline: () => void
  /** Connecting, then sending, then waiting for the head: one at a time. */
  #timer: NodeJS.Timeout
  #message: IncomingMessage | undefined
  #failure: Error | undefined

  /** `giveUp` destroys the request that is under way. */
  constructor(request: WireRequest, limits: Limits, giveUp: () => void) {
    this.#request = request
    this.#limits = limits
    this.#giveUp = giveUp
    this.head = this.#settle.promise
    this.#timer = setTimeout(
      () => this.fail(new ConnectFailed(`no connection within ${limits.connectTimeout} ms`)),
      limits.connectTimeout,
    )
    this.#stopWatchingDeadline = request.deadline.watch(() => this.fail(new UpstreamTimeout('the whole took too long')))
    request.signal.addEventListener('abort', this.#onAbort, { once: true })
    // `pipe` leaves a request half open whose body failed.
    request.body?.stream.once('error', (error) => this.fail(request.body?.failure ?? error))
  }

  readonly #onAbort = () => this.fail(this.#request.signal.reason)

  /** The request got a socket, which may be connecting still. */
  onConnection(sent: ClientRequest): void {
    if (this.#failure !== undefined) {
      this.#giveUp()
      return
    }
    const socket = sent.socket
    if (socket === null || !socket.connecting) this.#onConnected(sent)
    else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.#onConnected(sent))
    sent.once('close', () => clearTimeout(this.#timer))
  }

  #onConnected(sent: ClientRequest): void {
    clearTimeout(this.#timer)
    if (this.#message !== undefined || this.#failure !== undefined) return
    const { idleTimeout, headersTimeout } = this.#limits
    // An upload may take as long as bytes move: the limit for the head begins when the last of them is sent.
    this.#timer = setInterval(
      () => {
        if (this.#request.body?.isStuck(idleTimeout) === true)
          this.fail(new UpstreamTimeout(`the upstream took no byte of the request for ${idleTimeout} ms`))
      },
      Math.max(1, idleTimeout / 4),
    )
    sent.once('finish', () => {
      clearTimeout(this.#timer)
      if (this.#message !== undefined || this.#failure !== undefined) return
      this.#timer = setTimeout(
        () => this.fail(new UpstreamTimeout(`no answer within ${headersTimeout} ms`)),
        headersTimeout,
      )
    })
  }

  onHead(message: IncomingMessage): void {
    clearTimeout(this.#timer)
    if (this.#failure !== undefined) {
      message.on('error', () => undefined)
      message.destroy()
      return
    }
    this.#message = message
    message.on('error', () => undefined) // it may fail before its reader has come
    const stopWatching = watchIdle(message, this.#limits.idleTimeout)
    message.once('close', () => {
      stopWatching()
      this.#end()
      // Answered before the request's body was sent: what is left of it has no reader.
      this.#giveUp()
    })
    this.#settle.resolve(message)
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error instanceof Error ? error : new Error(String(error))
    clearTimeout(this.#timer)
    if (this.#message === undefined) this.#settle.reject(this.#failure)
    else this.#message.destroy(this.#failure)
    this.#end()
    this.#giveUp()
  }

  #end(): void {
    this.#stopWatchingDeadline()
    this.#request.signal.removeEventListener('abort', this.#onAbort)
  }
}

/** Ends a body of which no byte comes for so many milliseconds; a reader that takes none is no fault of the upstream's. */
function watchIdle(message: IncomingMessage, idleTimeout: number): () => void {
  let received = message.socket.bytesRead
  let since = performance.now()
  const timer = setInterval(
    () => {
      const now = performance.now()
      if (message.socket.bytesRead !== received || message.readableLength > 0) {
        received = message.socket.bytesRead
        since = now
      } else if (now - since >= idleTimeout) message.destroy(new UpstreamTimeout(`no byte for ${idleTimeout} ms`))
    },
    Math.max(1, idleTimeout / 4),
  )
  // An answer that nobody reads ends with its request's signal; it is no reason for a process to go on.
  timer.unref()
  return () => clearInterval(timer)
}
