import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { parseTarget } from '../hub/index.ts'
import type { Declined, HeaderList, Rights, Upstream } from '../plugin/index.ts'
import type { HubClient, HubHeaders, HubResponse } from './hub-client.ts'
import { HubUnreachable } from './hub-failure.ts'
import { Retryable, type RetryPolicy } from './retry.ts'

export interface UpstreamHubClientOptions {
  readonly upstream: Upstream
  /** The upstream's URL: what manifests record as the origin. */
  readonly endpoint: string
  readonly rights: Rights
  readonly retries: RetryPolicy
  readonly userAgent: string
  /** This server's part of `Via`. */
  readonly via?: string | undefined
}

/** The Hub by way of an upstream, for the server's own downloads: they have its limits, its pauses and its breaker. */
export class UpstreamHubClient implements HubClient {
  readonly endpoint: string
  readonly retries: RetryPolicy
  readonly #upstream: Upstream
  readonly #rights: Rights
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: UpstreamHubClientOptions) {
    this.endpoint = options.endpoint.replace(/\/+$/, '')
    this.retries = options.retries
    this.#upstream = options.upstream
    this.#rights = options.rights
    this.#headers = {
      'user-agent': options.userAgent,
      'accept-encoding': 'identity',
      ...(options.via !== undefined && { via: options.via }),
    }
  }

  async get(place: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HubResponse> {
    const answer = await this.#upstream.ask({
      id: randomUUID(),
      method: 'GET',
      target: parseTarget(place, '').target,
      headers: { ...this.#headers, ...headers },
      rights: this.#rights,
      body: undefined,
      purpose: 'mirror',
      publicUrl: this.endpoint,
      signal,
    })
    if (answer.kind === 'declined') throw this.#unreachable(answer)
    const { body } = answer
    return {
      status: answer.status,
      headers: firstValues(answer.headers),
      body: body instanceof Uint8Array ? Readable.from(body.byteLength === 0 ? [] : [Buffer.from(body)]) : body,
      ledTo: undefined,
    }
  }

  linked(url: string): string {
    const { pathname, search } = new URL(url, this.endpoint)
    return url.startsWith('/') ? url : pathname + search
  }

  /** Clients wait: a pause that the upstream orders is longer than they do. */
  #unreachable({ status, reason, cause }: Declined): Error {
    const failure = new HubUnreachable(undefined, reason, { cause })
    return status === 429 || status === 503 ? failure : new Retryable(failure)
  }
}

function firstValues(headers: HeaderList): HubHeaders {
  const first: Record<string, string> = {}
  for (const [name, value] of headers) first[name] = name in first ? `${first[name]}, ${value}` : value
  return first
}
