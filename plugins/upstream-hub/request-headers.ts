/** The end-to-end headers that go upstream (docs/credentials.md, rule 9); whatever is not named stays here. */
const forwarded = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'content-encoding',
  'git-protocol',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'user-agent',
  'last-event-id',
  'traceparent',
  'tracestate',
  'x-amzn-trace-id',
  'x-xet-session-id',
  'via',
])

/** A client's headers as they go upstream; values are never changed. */
export function forwardedHeaders(
  headers: Readonly<Record<string, string>>,
  id: string,
): Readonly<Record<string, string>> {
  const kept: Record<string, string> = { 'x-request-id': id }
  for (const [name, value] of Object.entries(headers)) {
    if (forwarded.has(name) || name.startsWith('x-hf-')) kept[name] = value
  }
  return kept
}

/** Of a client's headers, what a question that many share is asked with: the key has the first two, and no answer depends on the rest. */
const ofShared = ['accept', 'accept-encoding', 'via', 'traceparent', 'x-request-id'] as const

/** Longer ones are nobody's but an attacker's: the Hub refuses a head that is too large, and would refuse it to all who share. */
const longestOfShared = 512

/**
 * The headers of a question whose answer may be given to others: whatever else one client sent must not decide what they
 * get. `undefined`: it can't be shared.
 */
export function sharedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  const kept: Record<string, string> = { 'user-agent': 'mirrorface' }
  for (const name of ofShared) {
    const value = headers[name]
    if (value === undefined) continue
    if (value.length > longestOfShared) return undefined
    kept[name] = value
  }
  return kept
}
