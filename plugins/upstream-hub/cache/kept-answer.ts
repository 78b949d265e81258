import type { HeaderList } from 'mirrorface/plugin'
import { withoutHeaders } from '../transport/answer.ts'
import type { CachedAnswer, WholeAnswer } from './cached-answer.ts'
import type { Storability } from './storability.ts'

/** A small answer, whole. Times are those of `Date.now()`. */
export interface KeptAnswer {
  readonly answer: WholeAnswer
  /** The upstream's own entity tag, for validation. */
  readonly validator: string | undefined
  /** When the question was put: an answer to a later write is not in it. */
  readonly askedAt: number
  /** When the upstream last said it. */
  readonly at: number
  readonly storability: Storability
}

/** The kept answer for another client: with its age (RFC 9111 §5.1). */
export function reused({ answer, at, storability }: KeptAnswer, isStale: boolean): CachedAnswer {
  const age = String(Math.floor((storability.initialAge + Date.now() - at) / 1000))
  const headers: HeaderList = [...answer.headers.filter(([name]) => name !== 'age'), ['age', age]]
  return { ...answer, headers, ...(isStale && { staleFor: Math.floor((Date.now() - at) / 1000) }) }
}

/** Describe the body that is kept, whatever a 304 says (RFC 9111 §3.2). */
const ofTheBody = new Set(['content-length', 'content-encoding', 'content-type', 'content-range', 'etag'])

/** The headers of a kept answer after the upstream validated it with a 304 (RFC 9111 §4.3.4). */
export function freshened(kept: HeaderList, update: HeaderList): HeaderList {
  const changes = withoutHeaders(update, ofTheBody)
  const replaced = new Set(['age', ...changes.map(([name]) => name)])
  return [...withoutHeaders(kept, replaced), ...changes]
}

/** Bytes of memory: strings have two a character at worst, and each entry some of its own. */
export function sizeOf({ answer }: KeptAnswer, key: string): number {
  let size = 500 + 2 * key.length + answer.body.byteLength
  for (const [name, value] of answer.headers) size += 2 * (name.length + value.length) + 50
  return size
}
