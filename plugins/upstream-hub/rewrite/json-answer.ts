import type { Readable } from 'node:stream'
import type { HeaderList, ReadingBudget } from 'mirrorface/plugin'
import { readBounded } from '../cache/bounded-body.ts'
import type { WholeAnswer } from '../cache/cached-answer.ts'
import { headerOf, lengthOf, withoutHeaders } from '../transport/answer.ts'

/** JSON larger than this, in bytes, is not rewritten. */
export const largestRewritten = 32 * 1024 * 1024

const bodyHeaders: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'etag',
  'content-md5',
  'digest',
])

/** What `JSON.parse` takes. */
export type Reviver = (this: unknown, key: string, value: unknown) => unknown

interface StreamedAnswer {
  readonly headers: HeaderList
  readonly body: Uint8Array | Readable
}

/** JSON that can be read: not encoded, and announced as JSON. */
export function isReadableJson(headers: HeaderList): boolean {
  const type = headerOf(headers, 'content-type') ?? ''
  const encoding = headerOf(headers, 'content-encoding') ?? 'identity'
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(type) && encoding.toLowerCase() === 'identity'
}

/** Reads an answer's body if it is small enough; what is too large stays a stream. */
export async function readJson<Answer extends StreamedAnswer>(answer: Answer, budget: ReadingBudget): Promise<Answer> {
  if (answer.body instanceof Uint8Array) return answer
  const body = await readBounded(answer.body, lengthOf(answer.headers), largestRewritten, budget)
  return { ...answer, body }
}

/** A JSON answer with each value replaced by what `revive` makes of it; any other answer unchanged. */
export function rewriteJson<Answer extends WholeAnswer>(answer: Answer, revive: Reviver): Answer {
  if (answer.body.length === 0 || !isReadableJson(answer.headers)) return answer
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(answer.body).toString('utf8'), revive)
  } catch {
    return answer // announced as JSON and none: the client's to judge
  }
  return withJson(answer, value)
}

/** The answer with another body. Its tag becomes weak: the bytes are not the upstream's any more (RFC 9110 §8.8.1). */
export function withJson<Answer extends WholeAnswer>(answer: Answer, value: unknown): Answer {
  const body = Buffer.from(JSON.stringify(value))
  const etag = headerOf(answer.headers, 'etag')
  const headers: HeaderList = [
    ...withoutHeaders(answer.headers, bodyHeaders),
    ['content-length', String(body.length)],
    ...(etag === undefined ? [] : ([['etag', etag.startsWith('W/') ? etag : `W/${etag}`]] as const)),
  ]
  return { ...answer, headers, body }
}
