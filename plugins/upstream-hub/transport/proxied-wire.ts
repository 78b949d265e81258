import { type Agent, type ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { ProxyServer } from 'http-proxy-3'
import type { HeaderList } from 'mirrorface/plugin'
import { createAgent } from './agents.ts'
import type { WireAnswer } from './answer.ts'
import { classify } from './failures.ts'
import { type Limits, largestHead } from './limits.ts'
import { ProxiedExchange } from './proxied-exchange.ts'
import type { WireRequest } from './wire-request.ts'

/** What http-proxy-3 finds as the client's connection: it looks whether that was destroyed, and nothing else. */
const noConnection = new Socket()

/**
 * Passes bytes on untouched by http-proxy-3. It gets objects of ours only, made for one request: it takes the path from
 * `req.url` by way of `new URL`, writes to the headers of DELETE and OPTIONS, and adds to the client's headers rather
 * than replacing them. So the URL is the target's alone, the headers are a fresh copy, and their framing is the body's.
 */
export class ProxiedWire {
  readonly #limits: Limits
  readonly #agent: Agent
  readonly #proxy: ProxyServer
  readonly #exchanges = new WeakMap<IncomingMessage, ProxiedExchange>()

  constructor(protocol: string, limits: Limits) {
    this.#limits = limits
    this.#agent = createAgent(protocol)
    this.#proxy = new ProxyServer({
      agent: this.#agent,
      changeOrigin: true,
      ignorePath: true,
      selfHandleResponse: true,
      xfwd: false,
    })
    this.#proxy.on('proxyReq', (sent: ClientRequest, asked: IncomingMessage) =>
      this.#exchanges.get(asked)?.onConnection(sent),
    )
    this.#proxy.on('proxyRes', (message: IncomingMessage, asked: IncomingMessage) =>
      this.#exchanges.get(asked)?.onHead(message),
    )
  }

  /** The head of the answer; rejects with an error of `failures.ts`, or with the signal's reason. */
  async send(request: WireRequest): Promise<WireAnswer> {
    request.signal.throwIfAborted()
    const asked = Object.assign(new IncomingMessage(noConnection), {
      method: request.method,
      url: '/',
      // Without a body Node frames by the method: a POST says that it has none (RFC 9110 §8.6).
      headers: { ...request.headers, ...request.body?.framing },
    })
    const answered = new ServerResponse(asked)
    // It destroys the request when the client's answer closes unfinished: that is how a request is given up.
    const exchange = new ProxiedExchange(request, this.#limits, () => answered.emit('close'))
    this.#exchanges.set(asked, exchange)
    const buffer = request.body?.stream ?? Readable.from([])
    try {
      // What is under `ssl` becomes the options of the request, whatever its protocol; an agent's do not reach the parser.
      const ssl = { maxHeaderSize: largestHead }
      this.#proxy.web(asked, answered, { target: new URL(request.url), buffer, ssl }, (error) =>
        exchange.fail(request.body?.failure ?? classify(error)),
      )
    } catch (error) {
      exchange.fail(classify(error))
    }
    const message = await exchange.head
    return { status: message.statusCode ?? 502, headers: headersOf(message), body: message }
  }

  close(): void {
    this.#agent.destroy()
    this.#proxy.close()
  }
}

function headersOf({ rawHeaders }: IncomingMessage): HeaderList {
  const headers: [string, string][] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index]?.toLowerCase() ?? '', rawHeaders[index + 1] ?? ''])
  }
  return headers
}
