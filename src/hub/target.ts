import type { Repository } from './repository.ts'

/** The methods that clients of the Hub use; anything else is answered 405 before a target is looked at. */
export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type Method = (typeof methods)[number]

/**
 * A repository as policies name it: of a type that can be mirrored, or one that is only passed on. `kernels/…` and
 * `buckets/…` have routes of their own at the Hub.
 */
export interface NamedRepository {
  readonly type: Repository['type'] | 'kernel' | 'bucket'
  readonly id: string
}

interface RepositoryOperands {
  readonly repository: Repository
}
interface RevisionOperands extends RepositoryOperands {
  readonly revision: string
}
interface FileOperands extends RevisionOperands {
  /** Decoded; empty for the root where an operation lists folders. */
  readonly path: string
}
interface NamedOperands {
  readonly repository: NamedRepository
}
interface RouteOperands extends NamedOperands {
  /** What follows the repository, in lower case: `discussions`, `batch`, `settings`; empty: the repository itself. */
  readonly route: string
}

/** What each operation works on (hub-protocol §1, §3). */
interface Operands {
  // Answered from what is mirrored, if it is.
  resolve: FileOperands
  raw: FileOperands
  'resolve-cache': FileOperands
  info: RepositoryOperands & { readonly revision?: string }
  tree: FileOperands
  treesize: FileOperands
  'paths-info': RevisionOperands
  commits: RevisionOperands
  refs: RepositoryOperands
  'auth-check': RepositoryOperands
  'xet-read-token': RevisionOperands

  // Passed on; named, because credentials and policies tell them apart.
  'xet-write-token': NamedOperands
  'git-refs': NamedOperands & { readonly service: 'git-upload-pack' | 'git-receive-pack' }
  'git-upload-pack': NamedOperands
  'git-receive-pack': NamedOperands
  /** Download or upload: the body says which. */
  'lfs-batch': NamedOperands
  /** Whatever else lies below `info/lfs`; `route` is the rest of the path: `locks/verify`. */
  lfs: RouteOperands
  'oci-manifest': NamedOperands & { readonly reference: string }
  'oci-blob': NamedOperands & { readonly digest: string }
  /** Another route of a repository that only reads: discussions, safetensors metadata, a file of a bucket, `blob` pages. */
  'repository-read': RouteOperands
  /** A route that changes a repository: commit, preupload, branch, tag, a bucket's batch, duplicate. */
  'repository-write': RouteOperands
  /** Any other route that names a repository: settings, secrets, access requests, whatever the Hub invents next. */
  'repository-other': RouteOperands

  /** `POST /api/repos/create`, `/move`; `DELETE /api/repos/delete`: the body names the repository. */
  'repos-create': object
  'repos-move': object
  'repos-delete': object

  // No repository.
  search: object
  overview: { readonly of: 'organizations' | 'users'; readonly namespace: string }
  /** Other public listings: tags by type, papers, collections, trending. */
  listing: object
  'validate-yaml': object
  telemetry: object
  whoami: object

  // This server's own.
  health: object
  ready: object
  /** The page at `/` and `/-/…` below it. */
  page: object
  misses: object
  /** `/-/follow/{seal}`: what a client of a closed network can't reach itself. */
  follow: { readonly seal: string }
  /** `/-/lfs/{collection}/{repository}/{oid}`: an LFS object, resolved when it is asked for. */
  'lfs-object': RepositoryOperands & { readonly oid: string }

  other: object
}

export type Operation = keyof Operands
/** The operations that a mirrored repository can answer. */
export type MirrorOperation =
  | 'resolve'
  | 'raw'
  | 'resolve-cache'
  | 'info'
  | 'tree'
  | 'treesize'
  | 'paths-info'
  | 'commits'
  | 'refs'
  | 'auth-check'
  | 'xet-read-token'

export type OperandsOf<Name extends Operation> = Operands[Name]

/** What a target asks for, without its spelling: what {@link formatTarget} takes. */
export type Address<Name extends Operation = Operation> = Name extends Operation
  ? { readonly operation: Name } & Operands[Name]
  : never

/** How a target is spelled, and what of it policies need. */
export interface Spelling {
  /**
   * Path and query in the one spelling that is policed, looked up, cached by, and sent upstream; without the mirror's
   * prefix. For any http origin, `new URL(origin + canonical)` has this very path and query, and that origin.
   */
  readonly canonical: string
  /** `canonical` without its query, which may carry a signature or a token: what logs say. */
  readonly pathname: string
  /** The query in its canonical spelling, without `?`; empty where there is none. */
  readonly query: string
  /**
   * Decoded segments of the path, parted at encoded slashes too, without empty ones: for policies on routes that have
   * no grammar.
   */
  readonly segments: readonly string[]
  /**
   * Every repository that the path may name, the chosen one included: `org/resolve/resolve/main/f` is a file of `org`
   * or of `org/resolve`. Policies hold for all of them.
   */
  readonly readings: readonly NamedRepository[]
  /**
   * What the path may mean besides, where a route's word can be part of a repository's name or of a revision: a request
   * needs the rights of the most powerful of all.
   */
  readonly alternatives: readonly Address[]
  /**
   * Where the id was read as one segment: the repository that it would name with the next one (`gpt2/tree`). The Hub may
   * know routes of it that are unknown here.
   */
  readonly pair: NamedRepository | undefined
}

/** A request's target, parsed once. Immutable. */
export type Target<Name extends Operation = Operation> = Name extends Operation
  ? { readonly operation: Name } & Operands[Name] & Spelling
  : never

export type FileTarget = Target<'resolve' | 'raw' | 'resolve-cache'>

const xetTokens: ReadonlySet<string> = new Set(['xet-read-token', 'xet-write-token'])

/**
 * Whether a token for the Hub's content store may be what is asked for, on whatever route: with it, content is fetched
 * and stored past this server and its policies.
 */
export function mayOpenXet(target: Target): boolean {
  const { segments } = target
  // A file may have any name; a repository or a revision of that name is a token's route to a router that reads otherwise.
  const ofFile = 'path' in target ? target.path.split('/').filter((name) => name !== '').length : 0
  return segments.slice(0, segments.length - ofFile).some((segment) => xetTokens.has(segment.toLowerCase()))
}
