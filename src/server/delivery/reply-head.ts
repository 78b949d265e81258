import type { MirrorAddress } from '../received-request.ts'
import type { ReadyReply } from './ready-reply.ts'
import type { Recipient } from './reply-writer.ts'

/** What browsers may read of a response: transformers.js needs it (hub-protocol §2). */
const exposedHeaders =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash'

/**
 * Headers that no reply may set. The first group frames the body or belongs to one connection: the writer's own. With
 * the second an upstream would speak for this server's whole origin, or set state in its clients.
 */
const dropped = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'content-length', 'x-request-id', 'date'],
  ...['set-cookie', 'strict-transport-security', 'alt-svc', 'clear-site-data', 'nel', 'report-to'],
  ...['reporting-endpoints', 'service-worker-allowed'],
])

export interface ReplyHead {
  /** Names and values in turns. */
  readonly head: string[]
  /** `Content-Length`; `undefined`: the body is chunked. */
  readonly length: number | undefined
}

/** The whole head of a response: the reply's own headers and what belongs to this one request. */
export function replyHead(ready: ReadyReply, to: Recipient, pseudonym: string): ReplyHead {
  const head: string[] = []
  let length = ready.length
  for (const [name, value] of ready.headers) {
    if (dropped.has(name)) {
      if (name === 'content-length') length ??= lengthIn(value)
      continue
    }
    head.push(name, addressed(name, value, to.mirror))
  }
  if (length !== undefined && ready.status !== 204) head.push('content-length', String(length))
  if (to.allowedOrigin !== undefined)
    head.push('access-control-allow-origin', to.allowedOrigin, 'access-control-expose-headers', exposedHeaders)
  // Another origin would be told something else.
  if (to.allowedOrigin !== '*') head.push('vary', 'Origin')
  if (ready.outcome === 'fallback') head.push('via', `1.1 ${pseudonym}`)
  if (to.closes) head.push('connection', 'close')
  head.push('x-request-id', to.id)
  return { head, length }
}

function lengthIn(value: string): number | undefined {
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

function addressed(name: string, value: string, mirror: MirrorAddress): string {
  switch (name) {
    case 'location':
    case 'content-location':
      // Relative on purpose: clients put the path on the host that they asked (hub-protocol §2).
      return isOfMirror(value) ? mirror.path + value : value
    case 'link':
      // Clients take URLs in `Link` as they stand (hub-protocol §6).
      return value.replaceAll(/<(\/[^>]*)>/g, (whole, url: string) =>
        isOfMirror(url) ? `<${mirror.url}${url}>` : whole,
      )
    default:
      return value
  }
}

/** A path below the mirror's root; two slashes would begin another host. */
function isOfMirror(url: string): boolean {
  return url.startsWith('/') && !url.startsWith('//')
}
