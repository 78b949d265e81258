import type { IncomingHttpHeaders } from 'node:http'
import { HubFailure } from '../../hub/index.ts'

/** What of a client's headers goes upstream (docs/credentials.md, "Headers"), besides `if-…` and `x-hf-…`. */
const sent = new Set([
  ...['accept', 'accept-encoding', 'accept-language', 'content-type', 'content-encoding', 'git-protocol', 'range'],
  ...['user-agent', 'last-event-id', 'traceparent', 'tracestate', 'x-amzn-trace-id', 'x-xet-session-id'],
])

/** The client's headers that an upstream gets, and `Via`. */
export function upstreamHeaders(headers: IncomingHttpHeaders, pseudonym: string): Record<string, string> {
  const chosen: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    if (sent.has(name) || name.startsWith('if-') || name.startsWith('x-hf-'))
      chosen[name] = typeof value === 'string' ? value : value.join(', ')
  }
  const { via } = headers
  chosen.via = via === undefined ? `1.1 ${pseudonym}` : `${via}, 1.1 ${pseudonym}`
  return chosen
}

/** This server is among those that the request has come through: it would go round for ever. */
export class LoopDetected extends HubFailure {
  constructor() {
    super(
      'LoopDetected',
      508,
      'This request has come through this mirror before: its upstream leads back to it. Check upstreamUrl.',
    )
  }
}

/** `Via` is a list of `protocol received-by (comment)` (RFC 9110 §7.6.3). */
export function assertNoLoop({ via }: IncomingHttpHeaders, pseudonym: string): void {
  if (via === undefined || !via.includes(pseudonym)) return
  const passed = via.split(',').map((hop) => hop.trim().split(/[ \t]+/)[1])
  if (passed.includes(pseudonym)) throw new LoopDetected()
}
