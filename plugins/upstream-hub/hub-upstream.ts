import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import HttpProxy from 'http-proxy'
import {
  type Declined,
  describeError,
  type Exchange,
  type Forwarded,
  HubFailure,
  type PluginLogger,
  type Upstream,
  UsageFailure,
} from 'mirrorface/plugin'
import type { z } from 'zod'
import { createAgent } from './agents.ts'
import { clientHeaders, dropHopByHop } from './answer-headers.ts'
import type { hubUpstreamOptions } from './index.ts'

export type HubUpstreamOptions = z.infer<typeof hubUpstreamOptions>

/** The Hub, or anything that speaks its protocol, behind a transparent proxy. */
export class HubUpstream implements Upstream {
  readonly name: string
  readonly #options: HubUpstreamOptions
  readonly #logger: PluginLogger
  readonly #agent: Agent
  readonly #proxy: HttpProxy
  readonly #origin: string
  readonly #basePath: string
  /** Requests that wait for their answer's head. */
  readonly #asking = new WeakMap<IncomingMessage, PromiseWithResolvers<IncomingMessage>>()

  constructor(options: HubUpstreamOptions, logger: PluginLogger) {
    const url = new URL(options.url)
    if (url.search !== '' || url.hash !== '' || url.username !== '') {
      throw new UsageFailure('upstream plugin "hub": url: expected scheme, host and path only')
    }
    this.name = 'hub'
    this.#options = options
    this.#logger = logger
    this.#origin = url.origin
    this.#basePath = url.pathname.replace(/\/$/, '')
    this.#agent = createAgent(url.protocol)
    this.#proxy = HttpProxy.createProxyServer({
      target: url.origin,
      agent: this.#agent,
      changeOrigin: true,
      ignorePath: false,
      selfHandleResponse: true,
      xfwd: false,
    })
    this.#proxy.on('proxyReq', (request) => this.#limitWaiting(request))
    this.#proxy.on('proxyRes', (answer, request) => this.#asking.get(request)?.resolve(answer))
  }

  async forward(exchange: Exchange): Promise<Forwarded | Declined> {
    const { method, headers } = exchange.request
    if ((method === 'DELETE' || method === 'OPTIONS') && headers['transfer-encoding'] !== undefined) {
      // http-proxy would announce an empty body and then send one: a second request to the Hub.
      throw new HubFailure('LengthRequired', 411, `${method} with a body needs a Content-Length`)
    }
    let answer: IncomingMessage
    try {
      answer = await this.#ask(exchange)
    } catch (error) {
      return this.#decline(error)
    }
    return await this.#relay(exchange, answer)
  }

  async ready(): Promise<void> {
    await fetch(this.#options.url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(this.#options.connectTimeout),
    })
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    this.#proxy.close()
  }

  /** The upstream's answer, its body still to come. */
  #ask(exchange: Exchange): Promise<IncomingMessage> {
    const { request, response, signal } = exchange
    const asking = Promise.withResolvers<IncomingMessage>()
    const onGone = () => asking.reject(new Error('the client has gone'))
    signal.addEventListener('abort', onGone, { once: true })
    this.#asking.set(request, asking)
    dropHopByHop(request)
    request.url = this.#basePath + exchange.target
    this.#proxy.web(request, response, {}, (error) => asking.reject(error))
    return asking.promise.finally(() => signal.removeEventListener('abort', onGone))
  }

  async #relay(exchange: Exchange, answer: IncomingMessage): Promise<Forwarded> {
    const { response } = exchange
    const status = answer.statusCode ?? 502
    let bytes = 0
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    answer.setTimeout(this.#options.idleTimeout, () =>
      answer.destroy(new Error(`no byte for ${this.#options.idleTimeout} ms`)),
    )
    const rewrite = { upstream: this.#origin + this.#basePath, mirror: exchange.publicUrl }
    const headers = clientHeaders(answer, rewrite)
    for (let index = 0; index < headers.length; index += 2) response.removeHeader(headers[index] ?? '')
    response.writeHead(status, answer.statusMessage ?? '', [...ownHeaders(response.getHeaders()), ...headers])
    try {
      await pipeline(answer, response)
      return { kind: 'forwarded', status, bytes, complete: true }
    } catch (error) {
      // A body cut short at the upstream is cut short for the client: never ended as if it were whole.
      response.destroy()
      if (!exchange.signal.aborted)
        this.#logger.warn({ request: exchange.id, reason: describeError(error) }, 'upstream broke off')
      return { kind: 'forwarded', status, bytes, complete: exchange.signal.aborted }
    }
  }

  #limitWaiting(request: ClientRequest): void {
    const { connectTimeout, headersTimeout } = this.#options
    const waiting = setTimeout(
      () => request.destroy(new UpstreamTimeout(`no answer within ${headersTimeout} ms`)),
      headersTimeout,
    )
    request.once('response', () => clearTimeout(waiting))
    request.once('close', () => clearTimeout(waiting))
    request.once('socket', (socket) => {
      if (!socket.connecting) return
      const connecting = setTimeout(
        () => request.destroy(new UpstreamTimeout(`no connection within ${connectTimeout} ms`)),
        connectTimeout,
      )
      const settled = () => clearTimeout(connecting)
      socket.once(this.#origin.startsWith('https:') ? 'secureConnect' : 'connect', settled)
      socket.once('close', settled)
    })
  }

  #decline(error: unknown): Declined {
    const status = error instanceof UpstreamTimeout ? 504 : 502
    return { kind: 'declined', status, reason: `${this.#origin}: ${describeError(error)}` }
  }
}

class UpstreamTimeout extends Error {}

function ownHeaders(headers: NodeJS.Dict<number | string | string[]>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => [name, String(value)])
}
