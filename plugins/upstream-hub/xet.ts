import { type HubAnswer, withoutHeaders } from './hub-answer.ts'
import { rewriteJson, type WholeAnswer } from './json-answer.ts'

/**
 * Takes Xet off answers, so that clients of a closed network do not turn to its servers: they
 * download by plain HTTP then, through the mirror (hub-protocol §5).
 */

const xetHeaders = new Set(['x-xet-hash', 'x-xet-refresh-route', 'x-xet-cas-url', 'x-xet-access-token'])
/** Fields by which JSON answers offer it. */
const xetFields = new Set(['xetHash', 'xetEnabled'])

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
export async function withoutXetJson(answer: HubAnswer): Promise<HubAnswer | WholeAnswer> {
  return await rewriteJson(answer, (key, value) => (xetFields.has(key) ? undefined : value))
}
