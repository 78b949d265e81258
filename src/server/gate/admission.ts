import type { Method, NamedRepository, Repository, RequestKind, Target } from '../../hub/index.ts'
import type { RequestBody, Rights, UpstreamTraits } from '../../plugin/index.ts'
import type { Client } from './client.ts'
import type { ReadableLibrary } from './readable-library.ts'

/** What the gate is shown of a request; it reads `body` only where it must (bounded), and gives it back. */
export interface GateRequest {
  readonly id: string
  readonly method: Method
  readonly target: Target
  readonly client: Client
  readonly body: RequestBody | undefined
  readonly contentType: string | undefined
  /** How the body is compressed: what is read here must be what the Hub reads. */
  readonly contentEncoding: string | undefined
  /** Only where a proxy or the client says it: for host checks and CORS. */
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly signal: AbortSignal
}

/** What a path below `/-/follow/` entitles to: one URL, which one upstream's plugin sealed for one repository. */
export interface Capability {
  readonly url: string
  readonly repository: NamedRepository
  /** The name of the upstream that sealed it: no other may fetch it. */
  readonly upstream: string
  /** Whether it came of a request that changes something, and so may be asked by methods that do. */
  readonly mayChange: boolean
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
  /**
   * Whose rights pull-through uses at the authority for this repository. Only rights that read its files: a download is
   * shared by all who want it, and the listing of a gated repository, which tells of its files, is everybody's.
   * `undefined`: nothing is pulled for this request.
   */
  pullRightsFor(repository: Repository): Promise<Rights | undefined>
  /**
   * Whether a reply made from {@link library} is the same for every client: it may be kept and sent to others. It says
   * nothing of an upstream's answer, which belongs to the rights that it was asked with.
   */
  readonly isPublic: boolean
  /** The capability of a `follow` target, opened and found valid. */
  readonly capability: Capability | undefined
  /** `Access-Control-Allow-Origin`, or `undefined`: no page of another origin may read the answer. */
  readonly allowedOrigin: string | undefined
}
