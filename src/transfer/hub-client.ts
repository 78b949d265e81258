import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import { describeError } from '../hub/index.ts'
import { HubUnreachable } from './hub-failure.ts'
import { isRetryableStatus, Retryable, type RetryPolicy, retryAfter, withRetries } from './retry.ts'

export interface HubClientOptions {
  /** The Hub's URL, without a slash at the end. */
  readonly endpoint: string
  readonly token?: string | undefined
  readonly retries: RetryPolicy
  /** Connections to one host at a time. */
  readonly connections: number
  readonly userAgent: string
}

/** An answer whose body must be read or destroyed, and the URL that gave it, redirects followed. */
export type HubResponse = Dispatcher.ResponseData & { readonly url: string }

const mostRedirects = 10

/**
 * Requests to the Hub and to where it sends us, through the proxy that the environment names, if it
 * names one. The token goes to the Hub's own origin only, never
 * to the CDN that a redirect leads to.
 */
export class HubClient {
  readonly endpoint: string
  readonly retries: RetryPolicy
  readonly #origin: string
  readonly #headers: Record<string, string>
  readonly #token: string | undefined
  readonly #agent: EnvHttpProxyAgent

  constructor(options: HubClientOptions) {
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

  /** A JSON answer and its headers; an answer of 4xx is handed to `refuse`, which makes the error of it. */
  async json(
    url: string,
    signal: AbortSignal,
    refuse: (status: number, headers: HubResponse['headers']) => Error,
  ): Promise<{ body: unknown; headers: HubResponse['headers'] }> {
    return await withRetries(this.retries, signal, async () => {
      const response = await this.get(url, {}, signal)
      if (response.statusCode !== 200) {
        await response.body.dump()
        const refusal = refuse(response.statusCode, response.headers)
        throw isRetryableStatus(response.statusCode) ? new Retryable(refusal, retryAfter(response.headers)) : refusal
      }
      try {
        return { body: await response.body.json(), headers: response.headers }
      } catch (error) {
        throw new Retryable(
          new HubUnreachable(this.endpoint, `${new URL(url).pathname} broke off or is no JSON`, { cause: error }),
        )
      }
    })
  }

  /** One GET, redirects followed. A fault of the network is {@link Retryable}. */
  async get(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<HubResponse> {
    let target = new URL(url, this.endpoint)
    for (let hops = 0; hops <= mostRedirects; hops++) {
      const response = Object.assign(await this.#send(target, headers, signal), { url: target.href })
      const location = response.headers.location
      if (response.statusCode < 300 || response.statusCode > 399 || typeof location !== 'string') return response
      await response.body.dump()
      target = this.#redirected(target, location)
    }
    throw new HubUnreachable(this.endpoint, 'too many redirects')
  }

  async #send(target: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
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

  async close(): Promise<void> {
    await this.#agent.close()
  }
}
