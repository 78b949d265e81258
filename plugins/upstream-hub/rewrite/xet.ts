import { type HeaderList, HubFailure, mayOpenXet, type Target } from 'mirrorface/plugin'
import type { WholeAnswer } from '../cache/cached-answer.ts'
import { rewriteJson } from './json-answer.ts'
import { mapLinks } from './link-header.ts'

/**
 * Removes Xet from answers, so that clients of a closed network do not turn to its servers: they download by plain HTTP
 * then, through the mirror (hub-protocol §5).
 */

const xetHeaders = new Set([
  'x-xet-hash',
  'x-xet-refresh-route',
  'x-xet-cas-url',
  'x-xet-access-token',
  'x-xet-token-expiration',
])
const xetFields = new Set(['xetHash', 'xetEnabled'])

export function withoutXetHeaders(headers: HeaderList): HeaderList {
  const kept: (readonly [string, string])[] = []
  for (const header of headers) {
    const [name, value] = header
    if (xetHeaders.has(name)) continue
    if (name !== 'link') kept.push(header)
    else {
      const links = mapLinks(value, (uri, relation) => (relation.startsWith('xet-') ? undefined : uri))
      if (links !== undefined) kept.push([name, links])
    }
  }
  return kept
}

/** A whole JSON answer without the fields that offer Xet; any other answer unchanged. */
export function withoutXetJson<Answer extends WholeAnswer>(answer: Answer): Answer {
  // Most answers have none, and looking for the word costs a hundredth of parsing.
  const bytes = Buffer.from(answer.body.buffer, answer.body.byteOffset, answer.body.byteLength)
  if (![...xetFields].some((field) => bytes.includes(field))) return answer
  return rewriteJson(answer, (key, value) => (xetFields.has(key) ? undefined : value))
}

/** Refuses what would lead a client of a closed network to Xet's servers. */
export function refuseXetToken(target: Target): void {
  if (!mayOpenXet(target)) return
  throw new HubFailure(
    'XetUnavailable',
    403,
    'this mirror keeps clients from the Xet servers (its upstream is set to redirects: follow, or xet: false): set HF_HUB_DISABLE_XET=1',
  )
}
