/** How a client sends a body: what it announces, what it sends, and when. */
export const variants = [
  'exact',
  'late',
  'short-and-end',
  'short-and-reset',
  'long',
  'expect',
  'expect-impatient',
  'expect-never-sent',
  'chunked',
  'chunked-late',
  'chunked-cut',
  'chunked-damaged',
  'chunked-expect',
] as const
export type Variant = (typeof variants)[number]

/** What a client does, one after another. */
export type Act =
  | { readonly send: Buffer }
  /** Waits some milliseconds, so that the server meets the head without the body. */
  | { readonly pause: number }
  /** Waits for `100 Continue`, or for the final response. */
  | { readonly await: 'continue' }
  | { readonly finish: 'end' | 'reset' }

/** The acts that send `body` after a head made of `lines`. */
export function actsOf(variant: Variant, lines: readonly string[], body: Buffer): Act[] {
  const half = body.subarray(0, Math.floor(body.length / 2))
  const rest = body.subarray(half.length)
  const head = (...more: string[]): Act => ({ send: Buffer.from([...lines, ...more, '', ''].join('\r\n'), 'latin1') })
  const length = `Content-Length: ${body.length}`
  const chunked = 'Transfer-Encoding: chunked'
  const expects = 'Expect: 100-continue'
  switch (variant) {
    case 'exact':
      return [head(length), { send: body }]
    case 'late':
      return [head(length), { pause: 5 }, { send: half }, { pause: 5 }, { send: rest }]
    case 'short-and-end':
      return [head(length), { send: half }, { finish: 'end' }]
    case 'short-and-reset':
      return [head(length), { send: half }, { pause: 3 }, { finish: 'reset' }]
    case 'long':
      return [head(length), { send: Buffer.concat([body, Buffer.from('surplus bytes\r\n\r\n')]) }]
    case 'expect':
      return [head(length, expects), { await: 'continue' }, { send: body }]
    case 'expect-impatient':
      return [head(length, expects), { send: body }]
    case 'expect-never-sent':
      return [head(length, expects), { await: 'continue' }, { finish: 'reset' }]
    case 'chunked':
      return [head(chunked), { send: Buffer.concat([chunk(half), chunk(rest), lastChunk]) }]
    case 'chunked-late':
      return [
        head(chunked),
        { pause: 5 },
        { send: chunk(half) },
        { pause: 5 },
        { send: chunk(rest) },
        { send: lastChunk },
      ]
    case 'chunked-cut':
      return [head(chunked), { send: chunk(half) }, { finish: 'end' }]
    case 'chunked-damaged':
      return [head(chunked), { send: chunk(half) }, { send: Buffer.from('zz\r\n') }]
    case 'chunked-expect':
      return [head(chunked, expects), { await: 'continue' }, { send: Buffer.concat([chunk(body), lastChunk]) }]
  }
}

const lastChunk = Buffer.from('0\r\n\r\n')

function chunk(bytes: Buffer): Buffer {
  if (bytes.length === 0) return Buffer.alloc(0)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}
