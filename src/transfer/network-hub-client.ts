import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import { describeError } from '../hub/index.ts'
import type { HubClient, HubHeaders, HubResponse } from './hub-client.ts'
import { HubUnreachable } from './hub-failure.ts'
import { Retryable, type RetryPolicy } from './retry.ts'

export interface NetworkHubClientOptions {
  /** The Hub's URL. */
  readonly endpoint: string
  readonly token?: string | undefined
  readonly retries: RetryPolicy
  /** Connections to one host at a time. */
  readonly connections: number
  readonly userAgent: string
}

const mostRedirects = 10

/**
 * The Hub over the network, for commands: through the proxy that the environment names, if it names one. The token goes
 * to the Hub's own origin only, never to the CDN that a redirect leads to.
 */
export class NetworkHubClient implements HubClient {
  readonly endpoint: string
  readonly retries: RetryPolicy
  readonly #origin: string
  readonly #headers: Record<string, string>
  readonly #token: string | undefined
  readonly #agent: EnvHttpProxyAgent

  constructor(options: NetworkHubClientOptions) {
    this.endpoint = options.endpoint.replace(/\/+$/, '')
    this.retries = options.retries
    this.#origin = new URL(this.endpoint).origin
    this.#headers = { 'user-agent': options.userAgent, 'accept-encoding': 'identity' }
    this.#token = options.token
    this.#agent = new EnvHttpProxyAgent({
      connections: options.connections,
      connect: { timeout: 10_000 },
      headersTimeout: 30_000,
      bodyTimeout: 30_000,
    })
  }

  async get(place: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HubResponse> {
    let target = new URL(place.startsWith('/') ? this.endpoint + place : place)
    for (let hops = 0; hops <= mostRedirects; hops++) {
      const response = await this.#send(target, headers, signal)
      const location = response.headers.location
      if (response.statusCode < 300 || response.statusCode > 399 || typeof location !== 'string') {
        return {
          status: response.statusCode,
          headers: firstValues(response.headers),
          body: response.body,
          ledTo: hops === 0 ? undefined : target.href,
        }
      }
      await response.body.dump()
      target = this.#redirected(target, location)
    }
    throw new HubUnreachable(this.endpoint, 'too many redirects')
  }

  linked(url: string, place: string): string {
    const here = new URL(place.startsWith('/') ? this.endpoint + place : place)
    const { pathname, search } = new URL(url, here)
    // The Hub writes its public name into the link; behind a proxy that is not the name we asked.
    return here.origin + pathname + search
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #send(
    target: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const authorization =
      this.#token !== undefined && target.origin === this.#origin ? { authorization: `Bearer ${this.#token}` } : {}
    try {
      return await request(target, {
        dispatcher: this.#agent,
        headers: { ...this.#headers, ...headers, ...authorization },
        signal,
      })
    } catch (error) {
      signal.throwIfAborted()
      throw new Retryable(new HubUnreachable(target.origin, describeError(error), { cause: error }))
    }
  }

  #redirected(from: URL, location: string): URL {
    const target = new URL(location, from)
    const downgrades = from.protocol === 'https:' && target.protocol !== 'https:'
    if (downgrades || !['http:', 'https:'].includes(target.protocol)) {
      throw new HubUnreachable(
        this.endpoint,
        `it redirects to ${target.protocol}//${target.host}, which is not followed`,
      )
    }
    return target
  }
}

function firstValues(headers: Dispatcher.ResponseData['headers']): HubHeaders {
  const first: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(headers))
    first[name] = typeof value === 'string' ? value : value?.join(', ')
  return first
}
