import { discard, type UpstreamRequest } from 'mirrorface/plugin'
import { conditionOf } from '../follow/pinned.ts'
import { headerOf } from '../transport/answer.ts'
import type { CachedAnswer } from './cached-answer.ts'

/** Describe a body that is not sent (RFC 9110 §15.4.5). */
const ofTheBody = /^content-(?!location$|security-policy)/

/** 304 where a client has already what a shared answer says: the question went without the client's condition. */
export function unlessKnown({ headers }: Pick<UpstreamRequest, 'headers'>, answer: CachedAnswer): CachedAnswer {
  const etag = headerOf(answer.headers, 'etag')
  const condition = { 'if-none-match': headers['if-none-match'] ?? '' }
  if (answer.status !== 200 || etag === undefined || conditionOf(condition, { etag }) === undefined) return answer
  if (!(answer.body instanceof Uint8Array)) discard(answer.body)
  return {
    ...answer,
    status: 304,
    headers: answer.headers.filter(([name]) => !ofTheBody.test(name)),
    body: new Uint8Array(),
  }
}
