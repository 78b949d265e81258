import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type HubAnswer, headerOf, withoutHeaders } from './hub-answer.ts'

/**
 * Takes Xet off answers, so that clients of a closed network do not turn to its servers: they
 * download by plain HTTP then, through the mirror (hub-protocol §5).
 */

const xetHeaders = new Set(['x-xet-hash', 'x-xet-refresh-route', 'x-xet-cas-url', 'x-xet-access-token'])
const bodyHeaders = new Set(['content-length', 'content-encoding', 'etag', 'transfer-encoding'])
/** Fields by which JSON answers offer it. */
const xetFields = new Set(['xetHash', 'xetEnabled'])

/** JSON larger than this, in bytes, is passed as it is. */
const largestRewritten = 64 * 1024 * 1024

export function withoutXetHeaders(headers: readonly string[]): string[] {
  const kept: string[] = []
  const plain = withoutHeaders(headers, xetHeaders)
  for (let index = 0; index < plain.length; index += 2) {
    const [name = '', value = ''] = plain.slice(index, index + 2)
    const links = name.toLowerCase() === 'link' ? withoutXetLinks(value) : value
    if (links !== '' || value === '') kept.push(name, links)
  }
  return kept
}

/** `Link: <…>; rel="xet-auth", <…>; rel="next"`: what is not Xet's stays. */
function withoutXetLinks(value: string): string {
  return value
    .split(/,\s*(?=<)/)
    .filter((link) => !/rel="?xet-/.test(link))
    .join(', ')
}

/** A JSON answer without the fields that offer Xet; any other answer as it is. */
export async function withoutXetJson(answer: HubAnswer): Promise<HubAnswer & { readonly json?: Buffer }> {
  const isJson = /^application\/json\b/.test(headerOf(answer.headers, 'content-type') ?? '')
  const length = Number(headerOf(answer.headers, 'content-length') ?? 0)
  const isEncoded = (headerOf(answer.headers, 'content-encoding') ?? 'identity') !== 'identity'
  if (!isJson || isEncoded || length > largestRewritten) return answer
  const bytes = await buffer(answer.body)
  const json = Buffer.from(stripped(bytes.toString('utf8')))
  return {
    ...answer,
    headers: [...withoutHeaders(answer.headers, bodyHeaders), 'Content-Length', String(json.length)],
    body: Readable.from([json]),
    json,
  }
}

function stripped(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text, (key, value) => (xetFields.has(key) ? undefined : value)))
  } catch {
    return text // announced as JSON and none: the client's to judge
  }
}
