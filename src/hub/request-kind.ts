import type { Address, Method, Target } from './target.ts'

/** What kind of request it is: the first column of docs/credentials.md. */
export type RequestKind = 'read' | 'list' | 'write' | 'account' | 'own' | 'capability'

/** What the body of an LFS batch asks for. */
export type LfsOperation = 'download' | 'upload'

/**
 * Which rights a request needs. An allow-list of methods and operations: what is not named is `account`. `HEAD` counts
 * as `GET`. Two GETs are writes, for what they give opens one: `xet-write-token`, and git's refs for a push.
 * An LFS batch is a write unless `lfsOperation`, which is in its body, says that it downloads.
 */
export function requestKindOf(method: Method, target: Target, lfsOperation?: LfsOperation): RequestKind {
  const kind = target.alternatives.reduce<RequestKind>(
    (strictest, address) => stricter(method, strictest, kindOf(method, address, lfsOperation)),
    kindOf(method, target, lfsOperation),
  )
  if (kind !== 'read' || isQuestion(method)) return kind
  // A POST that reads is proved to be one: `squad/paths-info/like` may be a route of a repository called like a route.
  return target.pair !== undefined && 'revision' in target && routeWord.test(target.revision ?? '') ? 'account' : kind
}

/**
 * Which of two kinds is the stricter. An account's request gets nothing of the service's, so it comes before a write;
 * but a question that may open a way to write is what `readOnly` must see.
 */
function stricter(method: Method, one: RequestKind, other: RequestKind): RequestKind {
  const order: readonly RequestKind[] = isQuestion(method) ? ['write', 'account'] : ['account', 'write']
  return order.find((kind) => kind === one || kind === other) ?? one
}

/** A word that could be a route of the Hub's, and not the revision that most repositories have. */
const routeWord = /^(?!main$|master$|refs\/)[a-z][a-z-]*(?:\/|$)/i

function isQuestion(method: Method): boolean {
  return method === 'GET' || method === 'HEAD'
}

function kindOf(method: Method, target: Address, lfsOperation: LfsOperation | undefined): RequestKind {
  const reads = isQuestion(method)
  switch (target.operation) {
    case 'resolve':
    case 'raw':
    case 'resolve-cache':
    case 'info':
    case 'tree':
    case 'treesize':
    case 'refs':
    case 'commits':
    case 'xet-read-token':
    case 'oci-manifest':
    case 'oci-blob':
    case 'lfs-object':
      return reads ? 'read' : 'account'
    case 'repository-read':
      if (target.route === 'paths-info') return method === 'POST' ? 'read' : 'account'
      return reads ? 'read' : 'account'
    case 'paths-info':
    case 'git-upload-pack':
      return method === 'POST' ? 'read' : 'account'
    case 'git-refs':
      if (!reads) return 'account'
      return target.service === 'git-upload-pack' ? 'read' : 'write'
    case 'lfs-batch':
      if (method !== 'POST') return 'account'
      return lfsOperation === 'download' ? 'read' : 'write'
    case 'xet-write-token':
      return reads ? 'write' : 'account'
    case 'git-receive-pack':
    case 'repos-create':
    case 'repos-move':
      return method === 'POST' ? 'write' : 'account'
    case 'repos-delete':
      return method === 'DELETE' ? 'write' : 'account'
    case 'repository-write':
      return reads ? 'account' : 'write'
    case 'lfs':
      return lfsWrites.test(target.route) ? 'write' : 'account'
    case 'search':
    case 'overview':
    case 'listing':
      return reads ? 'list' : 'account'
    case 'validate-yaml':
      return method === 'POST' ? 'list' : 'account'
    case 'telemetry':
      return reads || method === 'POST' ? 'list' : 'account'
    case 'health':
    case 'ready':
    case 'page':
    case 'misses':
      return 'own'
    case 'follow':
      return 'capability'
    case 'auth-check':
    case 'whoami':
    case 'repository-other':
    case 'other':
      return 'account'
  }
}

/** `locks`, `locks/{id}/unlock`, `locks/verify`, `objects/verify`: git-lfs asks them for a push only. */
const lfsWrites = /^(?:locks(?:\/|$)|objects\/verify$)/
