import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Target } from '../../hub/index.ts'
import { type ReadyReply, readyAtOnce } from '../delivery/ready-reply.ts'
import type { Reply } from '../reply.ts'

export interface RecentReply {
  readonly target: Target
  /** Its body is bytes. */
  readonly reply: Reply
  readonly allowedOrigin: string | undefined
}

/** Bytes of memory for keys and replies; most bodies are shared with the library's own. */
const memory = 32 * 1024 * 1024
/** What an entry takes besides texts and bytes, about, in bytes. */
const entrySize = 2048

/** Content up to this size, in bytes, is read whole and kept for a moment: the configurations that a fleet asks for. */
export const largestKept = 128 * 1024

/**
 * Replies that are everybody's, kept for a moment and given again ahead of routing and look-up: a fleet that starts asks
 * the same few questions thousands of times a second.
 */
export class RecentReplies {
  readonly #replies: LRUCache<string, RecentReply>

  /** `lifetime`: milliseconds for which a reply is given again without a look at the library. */
  constructor(lifetime: number) {
    this.#replies = new LRUCache({ ttl: lifetime, maxSize: memory, ttlResolution: 10 })
  }

  /** For a request of this method and target, whoever sends it from a page of whatever origin. */
  find(method: string, target: Target, headers: IncomingHttpHeaders): RecentReply | undefined {
    const recent = this.#replies.get(`${method} ${target.canonical}`)
    // Another origin may be told something else.
    return recent === undefined || recent.allowedOrigin === '*' || headers.origin === undefined ? recent : undefined
  }

  keep(method: string, recent: RecentReply): void {
    const key = `${method} ${recent.target.canonical}`
    const { body } = recent.reply
    const bytes = body.kind === 'bytes' ? body.bytes.length : 0
    // The target has its texts several times over.
    this.#replies.set(key, recent, { size: entrySize + 6 * key.length + headerSize(recent.reply) + bytes })
  }
}

/** What of a reply may be kept; `undefined`: nothing. `bytes`: the content, where it was read whole. */
export function keepable(method: string, reply: Reply, bytes: Uint8Array | undefined): Reply | undefined {
  if (reply.status !== 200 || reply.outcome !== 'hit') return undefined
  // It depends on more than the target, which is all that a reply is kept by.
  if (reply.headers.some(([name]) => name === 'vary')) return undefined
  const { body } = reply
  if (body.kind === 'bytes') return body.etag === undefined ? undefined : reply
  if (body.kind !== 'content') return undefined
  const { etag, size } = body.content
  // A kept reply must not hold on to the snapshot that its content belongs to.
  if (method === 'HEAD') return { ...reply, body: { kind: 'head', etag, size } }
  return bytes === undefined ? undefined : { ...reply, body: { kind: 'bytes', bytes, etag } }
}

export function readyAgain({ reply }: RecentReply, method: string, headers: IncomingHttpHeaders): ReadyReply {
  return readyAtOnce(reply, { method, headers })
}

function headerSize({ headers }: Reply): number {
  return headers.reduce((size, [name, value]) => size + name.length + value.length, 0)
}
