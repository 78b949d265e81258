import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HubRequest, InvalidRequest, OtherRequest } from '../hub/url.ts'

/** A client's request on its way to an upstream, which answers on `response` itself. */
export interface Exchange {
  readonly id: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Path and query as the upstream should see them: the mirror's prefix is taken off. */
  readonly target: string
  /** The mirror's own address as this client knows it, prefix included: `http://host:8000/mirror`. */
  readonly publicUrl: string
  readonly hub: HubRequest | OtherRequest | InvalidRequest
  /** The client's address, as far as trusted proxies vouch for it. */
  readonly clientAddress: string
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal
}

/** The upstream answered the client. */
export interface Forwarded {
  readonly kind: 'forwarded'
  readonly status: number
  /** Body bytes sent to the client. */
  readonly bytes: number
  /** False where the body broke off and the client's connection was cut. */
  readonly complete: boolean
}

/** The upstream did not answer and the response is untouched: the next upstream may be asked. */
export interface Declined {
  readonly kind: 'declined'
  /** 429, 502, 503 or 504: what the client gets if no other upstream answers. */
  readonly status: number
  /** One sentence for people. */
  readonly reason: string
  /** Seconds after which asking again may help. */
  readonly retryAfter?: number
}

/** Whether an upstream is asked: `open` while its breaker keeps requests from it, `half-open` while one probes it. */
export type UpstreamState = 'closed' | 'half-open' | 'open'

/** Where requests go that no storage can answer. */
export interface Upstream {
  /** For logs and metric labels. */
  readonly name: string
  /** Streams the answer to the client, or declines; it rejects only for faults of its own. */
  forward(exchange: Exchange): Promise<Forwarded | Declined>
  /** Its breaker's state, where it has one. */
  readonly state?: UpstreamState
  /**
   * Rejects with the reason why the upstream can't be reached. Asked now and then while `state` is
   * `open`: an upstream that is back is to close its breaker.
   */
  ready(): Promise<void>
  close(): Promise<void>
}
