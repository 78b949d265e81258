import type { HeaderList } from 'mirrorface/plugin'
import { type buildConnector, type Dispatcher, EnvHttpProxyAgent, request as send } from 'undici'
import type { WireAnswer } from './answer.ts'
import { classify, UpstreamTimeout } from './failures.ts'
import { type Limits, largestHead } from './limits.ts'
import type { OutgoingBody } from './outgoing-body.ts'
import type { WireRequest } from './wire-request.ts'

/** Requests whose answers MirrorFace reads itself, by undici: metadata, and what redirects lead to. */
export class DirectWire {
  readonly #limits: Limits
  readonly #agent: EnvHttpProxyAgent

  /** `connect` opens the sockets, where their addresses must be checked. */
  constructor(limits: Limits, connect?: buildConnector.connector) {
    this.#limits = limits
    this.#agent = new EnvHttpProxyAgent({
      connect: connect ?? { timeout: limits.connectTimeout, allowH2: false },
      allowH2: false,
      headersTimeout: limits.headersTimeout,
      bodyTimeout: limits.idleTimeout,
      keepAliveTimeout: 30_000,
      maxHeaderSize: largestHead,
    })
  }

  /** The head of the answer; rejects with an error of `failures.ts`, or with the signal's reason. */
  async send(request: WireRequest): Promise<WireAnswer> {
    const { body, signal } = request
    signal.throwIfAborted()
    const life = new AbortController()
    const onAbort = () => life.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const cancelDeadline = request.deadline.watch(() => life.abort(new UpstreamTimeout('the whole took too long')))
    const stopSending = body === undefined ? undefined : this.#watchSending(body, life)
    const stop = () => {
      cancelDeadline()
      signal.removeEventListener('abort', onAbort)
    }
    try {
      const response = await send(request.url, {
        dispatcher: this.#agent,
        method: request.method,
        headers: { ...request.headers, ...(body?.length !== undefined && { 'content-length': String(body.length) }) },
        body: body?.stream ?? null,
        signal: life.signal,
        ...(body !== undefined && { headersTimeout: 0 }),
      })
      response.body.on('error', () => undefined) // it may fail before its reader has come
      response.body.once('close', stop)
      return { status: response.statusCode, headers: headersOf(response), body: response.body }
    } catch (error) {
      stop()
      signal.throwIfAborted()
      throw body?.failure ?? classify(life.signal.aborted ? life.signal.reason : error)
    } finally {
      stopSending?.()
    }
  }

  /** undici's limit for the head counts from the request's first byte; with a body it must count from the last. */
  #watchSending(body: OutgoingBody, life: AbortController): () => void {
    const { idleTimeout, headersTimeout } = this.#limits
    const check = () => {
      if (body.isStuck(idleTimeout))
        life.abort(new UpstreamTimeout(`the upstream took no byte of the request for ${idleTimeout} ms`))
    }
    let timer = setInterval(check, Math.max(1, idleTimeout / 4))
    body.stream.once('end', () => {
      clearInterval(timer)
      const noAnswer = () => life.abort(new UpstreamTimeout(`no answer within ${headersTimeout} ms`))
      timer = setTimeout(noAnswer, headersTimeout)
    })
    return () => clearInterval(timer)
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

function headersOf(response: Dispatcher.ResponseData): HeaderList {
  const headers: [string, string][] = []
  for (const [name, value] of Object.entries(response.headers)) {
    if (typeof value === 'string') headers.push([name, value])
    else for (const one of value ?? []) headers.push([name, one])
  }
  return headers
}
