import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { ProxyServer } from 'http-proxy-3'
import type { Exchange } from 'mirrorface/plugin'
import { createAgent } from './agents.ts'
import type { Deadline } from './deadline.ts'
import { ClientGone } from './health.ts'
import { answerOfMessage, type HubAnswer } from './hub-answer.ts'
import { limitWaiting } from './waiting-limits.ts'

export interface HubProxyOptions {
  /** Milliseconds. */
  readonly connectTimeout: number
  readonly headersTimeout: number
}

/** A request that waits for its answer's head. */
interface Waiting extends PromiseWithResolvers<HubAnswer> {
  /** Milliseconds that its answer may take. */
  readonly timeLeft: number
}

/** Passes requests on as they are, bodies included, by http-proxy; what to do with the answer is its caller's. */
export class HubProxy {
  readonly #basePath: string
  readonly #agent: Agent
  readonly #proxy: ProxyServer
  readonly #waiting = new WeakMap<IncomingMessage, Waiting>()

  constructor(url: URL, { connectTimeout, headersTimeout }: HubProxyOptions) {
    this.#basePath = url.pathname.replace(/\/$/, '')
    this.#agent = createAgent(url.protocol)
    this.#proxy = new ProxyServer({
      target: url.origin,
      agent: this.#agent,
      changeOrigin: true,
      selfHandleResponse: true,
      xfwd: false,
    })
    this.#proxy.on(
      'proxyReq',
      (request: ClientRequest, asked: IncomingMessage, _out: unknown, _options: unknown, socket: Socket) => {
        const timeLeft = this.#waiting.get(asked)?.timeLeft ?? headersTimeout
        limitWaiting(request, socket, { connectTimeout, headersTimeout: Math.min(headersTimeout, timeLeft) })
      },
    )
    this.#proxy.on('proxyRes', (answer: IncomingMessage, request: IncomingMessage) =>
      this.#waiting.get(request)?.resolve(answerOfMessage(answer)),
    )
  }

  /** The head of the Hub's answer; rejects where none came, or with {@link ClientGone}. */
  ask(exchange: Exchange, { timeLeft }: Deadline): Promise<HubAnswer> {
    const { request, response, signal } = exchange
    const waiting = { ...Promise.withResolvers<HubAnswer>(), timeLeft }
    const onGone = () => waiting.reject(new ClientGone('the client has gone'))
    signal.addEventListener('abort', onGone, { once: true })
    this.#waiting.set(request, waiting)
    request.url = this.#basePath + exchange.target
    // A request that is sent a second time has no body left to pipe.
    const options = hasNoBody(request) ? { buffer: Readable.from([]) } : {}
    this.#proxy.web(request, response as ServerResponse, options, (error) => waiting.reject(error))
    return waiting.promise.finally(() => signal.removeEventListener('abort', onGone))
  }

  close(): void {
    this.#agent.destroy()
    this.#proxy.close()
  }
}

export function hasNoBody({ method, headers }: IncomingMessage): boolean {
  const isSafe = method === 'GET' || method === 'HEAD'
  return isSafe && headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
}
