import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type Rewrite, rewriteUrl } from './answer-headers.ts'
import { type HubAnswer, headerOf, withoutHeaders } from './hub-answer.ts'

const bodyHeaders = new Set(['content-length', 'content-encoding', 'etag', 'transfer-encoding'])

/** JSON larger than this, in bytes, is passed as it is. */
const largestRewritten = 64 * 1024 * 1024

/** An answer that was read whole. */
export type WholeAnswer = HubAnswer & { readonly json: Buffer }

/** A JSON answer with each value replaced by what `revive` makes of it; any other answer as it is. */
export async function rewriteJson(
  answer: HubAnswer,
  revive: (key: string, value: unknown) => unknown,
): Promise<HubAnswer | WholeAnswer> {
  const isJson = /^application\/json\b/.test(headerOf(answer.headers, 'content-type') ?? '')
  const length = Number(headerOf(answer.headers, 'content-length') ?? 0)
  const isEncoded = (headerOf(answer.headers, 'content-encoding') ?? 'identity') !== 'identity'
  if (!isJson || isEncoded || length > largestRewritten) return answer
  const bytes = await buffer(answer.body)
  const json = Buffer.from(revived(bytes.toString('utf8'), revive))
  return {
    ...answer,
    headers: [...withoutHeaders(answer.headers, bodyHeaders), 'Content-Length', String(json.length)],
    body: Readable.from([json]),
    json,
  }
}

function revived(text: string, revive: (key: string, value: unknown) => unknown): string {
  try {
    return JSON.stringify(JSON.parse(text, revive))
  } catch {
    return text // announced as JSON and none: the client's to judge
  }
}

/**
 * The answer to a write with its URLs at the Hub leading through the mirror: clients read the name
 * of what they made from `url`, `commitUrl` and `pullRequestUrl`, and take it for a foreign one otherwise.
 */
export async function withMirrorUrls(answer: HubAnswer, rewrite: Rewrite): Promise<HubAnswer | WholeAnswer> {
  return await rewriteJson(answer, (key, value) =>
    /url$/i.test(key) && typeof value === 'string' ? rewriteUrl(value, rewrite) : value,
  )
}
