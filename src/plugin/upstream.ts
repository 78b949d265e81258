import type { Readable } from 'node:stream'
import type { Method, Target } from '../hub/target.ts'

/** Names in lower case and values, in order; a name may come twice. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

/** Whose rights an upstream is asked with. An upstream's own token never leaves its plugin. */
export type Rights =
  | { readonly use: 'none' }
  /** The client's own Hub token. */
  | { readonly use: 'client'; readonly token: string }
  /**
   * The upstream's service token. Where that is answered 403 or 404, `otherwise`, the client's own token, is tried
   * once; where the service token itself is refused (401), the request is tried once without credentials.
   */
  | { readonly use: 'service'; readonly otherwise?: string }

/** A request's body. It can be sent once, unless it was small enough to be read whole. */
export interface RequestBody {
  /** Bytes, as announced by the client; absent: chunked. */
  readonly length: number | undefined
  /** The whole body, where it was read: it may be sent to several upstreams. */
  readonly bytes: Uint8Array | undefined
  /** Whether {@link take} was called on a body that is not at hand: no other upstream may be asked then. */
  readonly isSpent: boolean
  /** The body as a stream. Throws where it {@link isSpent}. It ends with an error where it is not of `length` bytes. */
  take(): Readable
}

/** A request as an upstream gets it: plain, immutable data. */
export interface UpstreamRequest {
  /** For logs, and `X-Request-Id` at the upstream. */
  readonly id: string
  readonly method: Method
  /** Its `canonical` is what must be sent. */
  readonly target: Target
  /**
   * End-to-end headers of an allow-list, names in lower case; never `authorization`, `cookie`, `host`, `expect`, or
   * what frames a body. `via` is already set.
   */
  readonly headers: Readonly<Record<string, string>>
  readonly rights: Rights
  readonly body: RequestBody | undefined
  /**
   * Whom the answer is for. `client`: redirects are followed only if the plugin is so configured, and URLs at the
   * upstream become the mirror's. `mirror`: this server asks for itself (access, policy, pull-through); redirects are
   * followed, nothing is rewritten, and nothing stale is given.
   */
  readonly purpose: 'client' | 'mirror'
  /** The mirror's address as this client knows it, prefix included: for URLs inside bodies that are never kept. */
  readonly publicUrl: string
  /** For a target of the operation `follow`: the URL that its seal carried. Opened, unexpired, and admitted by the server. */
  readonly sealedUrl?: string
  /** Seals a URL into a capability path below `/-/follow/`, for the repository of `target`; absent: none can be made. */
  seal?(url: string): string
  /** Aborted when the answer is no longer wanted. */
  readonly signal: AbortSignal
}

/** An upstream's answer, as data; who gets it owns `body` and reads it to its end or destroys it. */
export interface UpstreamAnswer {
  readonly kind: 'answered'
  readonly status: number
  /**
   * Without hop-by-hop headers and others that are not the client's. In `location`, `content-location` and `link`, a
   * URL at the upstream is relative to the mirror's root and begins with one `/` (the writer puts the prefix, or the
   * public URL, in front); any other URL is absolute.
   */
  readonly headers: HeaderList
  /**
   * Bytes that are at hand, or a stream. A stream that ends before the upstream's body does fails with an error. For
   * HEAD, and for statuses without a body, no bytes.
   */
  readonly body: Uint8Array | Readable
  /** Seconds since the upstream said it, where a kept answer is given because the upstream can't be asked. */
  readonly staleFor?: number
}

/** The upstream did not answer: the next one may be asked, if the body allows. */
export interface Declined {
  readonly kind: 'declined'
  /** 429, 502, 503 or 504: what the client gets if no other upstream answers. */
  readonly status: number
  /** One sentence for people. */
  readonly reason: string
  /** Seconds after which asking again may help. */
  readonly retryAfter?: number
  readonly cause?: unknown
}

/** Whether an upstream is asked: `open` while its breaker keeps requests from it, `half-open` while one probes it. */
export type UpstreamState = 'closed' | 'half-open' | 'open'

/** What the gate must know of an upstream to decide whose rights it is asked with (see docs/credentials.md). */
export interface UpstreamTraits {
  /** For logs and metric labels. */
  readonly name: string
  /** The upstream has a service token. */
  readonly hasServiceToken: boolean
  /** The service token may be used for writes of clients that were given that right. */
  readonly serviceWrites: boolean
  /** Clients' own tokens are sent to it; `undefined`: only if it is the authority. */
  readonly clientTokens: boolean | undefined
  /** Tells a client's token for this upstream from any other credential. */
  readonly clientTokenPattern: RegExp
  /** Its word counts for access, and what is pulled comes from it. `undefined`: the first upstream is the authority. */
  readonly authority: boolean | undefined
}

/** Where requests go that no storage can answer. */
export interface Upstream {
  readonly traits: UpstreamTraits
  /**
   * The upstream's answer, or why there is none. It rejects with a `Failure` only where the request itself is to be
   * refused, and with the signal's reason where that aborted; never because the upstream failed.
   */
  ask(request: UpstreamRequest): Promise<UpstreamAnswer | Declined>
  /** Its breaker's state, where it has one. */
  readonly state?: UpstreamState
  /**
   * Rejects with the reason why the upstream can't be reached. Asked now and then while `state` is `open`: an upstream
   * that is back is to close its breaker.
   */
  ready(): Promise<void>
  close(): Promise<void>
}
