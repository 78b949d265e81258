import {
  type Declined,
  Failure,
  type PluginLogger,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
  type UpstreamState,
  type UpstreamTraits,
} from 'mirrorface/plugin'
import { noCredentials } from './credentials.ts'
import { declineFor } from './declining.ts'
import type { HubUpstreamOptions } from './options.ts'
import { forwardedHeaders } from './request-headers.ts'
import { endToEnd, mirrorHeaders } from './rewrite/answer-headers.ts'
import { MirrorUrls } from './rewrite/mirror-urls.ts'
import { drain, isBodiless } from './transport/answer.ts'
import { Deadline } from './transport/limits.ts'
import { Transport } from './transport/transport.ts'

/** The Hub, or anything that speaks its protocol. */
export class HubUpstream implements Upstream {
  readonly traits: UpstreamTraits
  readonly #options: HubUpstreamOptions
  readonly #url: string
  readonly #urls: MirrorUrls
  readonly #transport: Transport

  constructor(options: HubUpstreamOptions, logger: PluginLogger) {
    this.#options = options
    this.#url = options.url.replace(/\/+$/, '')
    this.#urls = new MirrorUrls(this.#url)
    this.traits = {
      name: options.name,
      hasServiceToken: options.token !== undefined,
      serviceWrites: options.serviceWrites,
      clientTokens: options.clientTokens,
      clientTokenPattern: new RegExp(options.clientTokenPattern),
      authority: options.authority,
    }
    this.#transport = new Transport({
      ...options,
      url: this.#url,
      onBreakerChange: (state) => logger.warn({ upstream: options.name, state }, 'upstream breaker changed'),
    })
  }

  get state(): UpstreamState {
    return this.#transport.state
  }

  async ask(request: UpstreamRequest): Promise<UpstreamAnswer | Declined> {
    try {
      const answer = await this.#transport.ask({
        method: request.method,
        target: request.target.canonical,
        path: request.target.path,
        headers: forwardedHeaders(request.headers, request.id),
        credentials: noCredentials,
        body: request.body,
        isRepeatable: request.body === undefined && (request.method === 'GET' || request.method === 'HEAD'),
        isPassedOn: true,
        deadline: new Deadline(this.#options.totalTimeout),
        signal: request.signal,
      })
      if (isBodiless(request.method, answer.status)) drain(answer.body)
      return {
        kind: 'answered',
        status: answer.status,
        headers: mirrorHeaders(endToEnd(answer.headers), this.#urls, request),
        body: isBodiless(request.method, answer.status) ? new Uint8Array() : answer.body,
      }
    } catch (error) {
      request.signal.throwIfAborted()
      if (error instanceof Failure) throw error
      return declineFor(error, { url: this.#url, breakerPause: this.#options.breakerPause })
    }
  }

  async ready(): Promise<void> {
    await this.#transport.ready()
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }
}
