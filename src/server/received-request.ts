import type { IncomingHttpHeaders } from 'node:http'
import type { Method, Target } from '../hub/index.ts'
import type { RequestBody } from '../plugin/index.ts'
import type { Client } from './gate/client.ts'

/** A client's request, parsed once. Immutable: what is learnt of it later lives elsewhere. */
export interface ReceivedRequest {
  /** The id that the client sees and the log has. */
  readonly id: string
  readonly method: Method
  readonly target: Target
  readonly client: Client
  readonly headers: IncomingHttpHeaders
  readonly body: RequestBody | undefined
  /** The mirror's addresses as this client knows them. */
  readonly mirror: MirrorAddress
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal
}

/** Where the mirror is, as one client sees it, for URLs in headers and bodies. */
export interface MirrorAddress {
  /** Scheme, host, and path of the Hub's routes: `https://mirror.example/mirror`. */
  readonly url: string
  /** The path of {@link url}, without a slash at the end: `/mirror`. */
  readonly path: string
}
