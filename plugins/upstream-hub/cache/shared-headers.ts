/** The headers of clients that a shared question is sent with: few, short, and each of them part of its key. */
export interface SharedHeaders {
  readonly accept: string
  readonly 'accept-encoding': string
  /** Without it, a loop of mirrors would wait for itself: the mirror that it comes back to joins its own question. */
  readonly via?: string
}

/**
 * What tells of the client, and does not choose the answer: a question is shared in spite of it, and is sent without it.
 * All of the Hub's own `X-HF-…` are of this kind: who is billed, what is counted. That includes those to come: new
 * versions of clients bring some on every request, and to go by itself would be to lose a fleet its cache. A counter
 * counts nothing here, for one question stands for many clients; the content, which each fetches by itself, carries it.
 */
const tellsOfClient = (name: string) => withoutInfluence.has(name) || name.startsWith('x-hf-')

const withoutInfluence = new Set([
  'accept-language',
  'content-type', // of a body that is not there
  'user-agent',
  'traceparent',
  'tracestate',
  'x-amzn-trace-id',
  'x-xet-session-id',
  'x-request-id',
  'if-none-match', // judged by the shared answer's own tag
])

/** Characters of a header's value: more than any client sends that means it. */
const longest = 256
const printable = /^[\x20-\x7e]*$/

const codings: ReadonlySet<string> = new Set(['br', 'deflate', 'gzip', 'zstd'])

/**
 * The headers of a question that is asked for everybody with the same key. `undefined`: it has others, or such values,
 * as may matter to its answer, and must go by itself.
 *
 * @param headers that would go upstream.
 */
export function sharedHeaders(headers: Readonly<Record<string, string>>): SharedHeaders | undefined {
  const { accept = '*/*', 'accept-encoding': encoding = 'identity', via, ...others } = headers
  if (!Object.keys(others).every(tellsOfClient)) return undefined
  if (![accept, encoding, via ?? ''].every((value) => value.length <= longest && printable.test(value)))
    return undefined
  const normalised = normaliseEncoding(encoding)
  if (normalised === undefined) return undefined
  return { accept, 'accept-encoding': normalised, ...(via !== undefined && { via }) }
}

/** The known codings that are accepted, in one order; `undefined` where it says more than that. */
function normaliseEncoding(value: string): string | undefined {
  const accepted = new Set<string>()
  for (const element of value.toLowerCase().split(',')) {
    const [name = '', weight, ...more] = element.split(';').map((part) => part.trim())
    const quality = weight === undefined ? 1 : Number(/^q=([01](?:\.\d{0,3})?)$/.exec(weight)?.[1])
    if (more.length > 0 || Number.isNaN(quality)) return undefined
    if (quality === 0 && (name === 'identity' || name === '*')) return undefined
    if (quality > 0 && codings.has(name)) accepted.add(name)
  }
  return accepted.size === 0 ? 'identity' : [...accepted].sort().join(', ')
}
