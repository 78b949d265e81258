import { isCommit, type Target } from '../../hub/index.ts'
import type { Reply } from '../reply.ts'

/** Seconds: a year, as long as caches keep anything. */
const forever = 31_536_000

/**
 * What caches in front may do with a reply of what is mirrored (RFC 9111 §5.2.2, RFC 8246). A file at a commit never
 * changes; everything else is asked for again, which costs a 304. What is not everybody's no shared cache may keep, and
 * no other asks for again either, for a client's rights may end.
 */
export function withCacheControl(reply: Reply, target: Target, isPublic: boolean): Reply {
  if (reply.status !== 200 || reply.headers.some(([name]) => name === 'cache-control')) return reply
  const value = isPublic
    ? isPinned(target)
      ? `public, max-age=${forever}, immutable`
      : 'public, no-cache'
    : 'private, no-cache'
  return { ...reply, headers: [...reply.headers, ['cache-control', value]] }
}

function isPinned(target: Target): boolean {
  switch (target.operation) {
    case 'resolve':
    case 'resolve-cache':
    case 'raw':
      return isCommit(target.revision)
    case 'oci-blob':
      return true
    default:
      return false
  }
}
