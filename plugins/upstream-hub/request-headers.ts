/** The end-to-end headers that go upstream (docs/credentials.md, "Headers"); whatever is not named stays here. */
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
