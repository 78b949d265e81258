import type { Method, Target } from '../../hub/index.ts'
import type { RequestBody, Rights, UpstreamTraits } from '../../plugin/index.ts'
import type { ReadableLibrary } from './readable-library.ts'
import type { Client } from './client.ts'

/** What kind of request it is: the first column of docs/credentials.md. */
export type RequestKind = 'read' | 'list' | 'write' | 'account' | 'own' | 'capability'

/** What the gate is shown of a request; it reads `body` only where it must (bounded), and gives it back. */
export interface GateRequest {
  readonly id: string
  readonly method: Method
  readonly target: Target
  readonly client: Client
  readonly body: RequestBody | undefined
  readonly contentType: string | undefined
  /** Only where a proxy or the client says it: for host checks and CORS. */
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly signal: AbortSignal
}

/** What the gate allowed, and with whose rights. Nothing after it decides about credentials again. */
export interface Admission {
  readonly kind: RequestKind
  /** What is mirrored, as this client may see it. */
  readonly library: ReadableLibrary
  /** The body to go on with: read and serialised anew where it names repositories. */
  readonly body: RequestBody | undefined
  /** Whose rights an upstream is asked with. */
  rightsAt(upstream: UpstreamTraits): Rights
  /** Whose rights pull-through uses at the authority; `undefined`: nothing is pulled for this request. */
  readonly pullRights: Rights | undefined
  /** Whether the answer is everybody's: it may be kept and given to others. */
  readonly isPublic: boolean
  /** `Access-Control-Allow-Origin`, or `undefined`: no page of another origin may read the answer. */
  readonly allowedOrigin: string | undefined
}
