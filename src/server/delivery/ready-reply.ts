import Negotiator from 'negotiator'
import { type ByteRange, quoteETag } from '../../hub/index.ts'
import type { HeaderList } from '../../plugin/index.ts'
import type { Content, OpenContent, Reply, Shortcut } from '../reply.ts'
import type { GzipForm } from './gzip-form.ts'
import { type Conditions, selectRange } from './preconditions.ts'

type Header = HeaderList[number]

/** A reply whose head is decided and whose content is open: from here on only the transport can fail. */
export interface ReadyReply extends Pick<Reply, 'status' | 'headers' | 'source' | 'outcome' | 'failure'> {
  /** `Content-Length`; `undefined`: as the headers have it, or unknown. */
  readonly length: number | undefined
  readonly body: Extract<Reply['body'], { kind: 'none' | 'bytes' | 'stream' }> | OpenBody
}

interface OpenBody {
  readonly kind: 'open'
  readonly open: OpenContent
}

const none = { kind: 'none' } as const

/** Applies the request's conditions and range, and opens the content. Rejects as {@link Content.open} does. */
export async function makeReady(reply: Reply, request: Conditions, signal: AbortSignal): Promise<ReadyReply> {
  const { body } = reply
  return body.kind === 'content'
    ? await readyContent(reply, body.content, request, signal)
    : readyAtOnce(reply, request)
}

/** The same for a reply whose body is at hand. */
export function readyAtOnce(reply: Reply, request: Conditions): ReadyReply {
  const { body } = reply
  switch (body.kind) {
    case 'bytes':
      return body.etag === undefined
        ? wholeBytes(reply, body.bytes)
        : readyForm(reply, body.bytes, body.etag, body.gzip, request)
    case 'head':
      return readyHead(reply, body.etag, body.size, request)
    case 'content':
      throw new TypeError('content is opened, not at hand')
    case 'none':
    case 'stream':
      return { ...reply, body, length: undefined }
  }
}

function wholeBytes(reply: Reply, bytes: Uint8Array): ReadyReply {
  // An upstream's answer to HEAD has no bytes, and a length of its own.
  const length = bytes.length === 0 && reply.outcome === 'fallback' ? undefined : bytes.length
  return { ...reply, length, body: { kind: 'bytes', bytes } }
}

/** The form that the client takes: each has an entity tag of its own (RFC 9110 §8.8.3.3). */
function readyForm(
  reply: Reply,
  bytes: Uint8Array,
  etag: string,
  gzip: GzipForm | undefined,
  request: Conditions,
): ReadyReply {
  if (gzip === undefined) return readyBytes(reply, bytes, etag, request)
  const vary: Header = ['vary', 'Accept-Encoding']
  const compressed = takesGzip(request) ? gzip.of(bytes) : undefined
  if (compressed === undefined) return readyBytes({ ...reply, headers: [...reply.headers, vary] }, bytes, etag, request)
  const headers: Header[] = [...reply.headers, ['content-encoding', 'gzip'], vary]
  return readyBytes({ ...reply, headers }, compressed, `${etag}-gzip`, request)
}

function takesGzip({ headers }: Conditions): boolean {
  return (
    headers['accept-encoding'] !== undefined && new Negotiator({ headers }).encoding(['gzip', 'identity']) === 'gzip'
  )
}

function readyBytes(reply: Reply, bytes: Uint8Array, etag: string, request: Conditions): ReadyReply {
  const selection = selectRange(request, etag, bytes.length)
  const selected = headersOf(reply.headers, etag, bytes.length, selection)
  switch (selection.status) {
    case 200:
      return { ...reply, headers: selected, length: bytes.length, body: { kind: 'bytes', bytes } }
    case 206: {
      const { start, end } = selection.range
      const part = bytes.subarray(start, end + 1)
      return { ...reply, status: 206, headers: selected, length: part.length, body: { kind: 'bytes', bytes: part } }
    }
    default:
      return withoutBody(reply, selection.status, selected)
  }
}

function readyHead(reply: Reply, etag: string, size: number, request: Conditions): ReadyReply {
  const selection = selectRange(request, etag, size)
  const headers = headersOf(reply.headers, etag, size, selection)
  return selection.status === 304 || selection.status === 412 || selection.status === 416
    ? withoutBody(reply, selection.status, headers)
    : { ...reply, headers, length: size, body: none }
}

async function readyContent(
  reply: Reply,
  content: Content,
  request: Conditions,
  signal: AbortSignal,
): Promise<ReadyReply> {
  const { etag, size } = content
  const selection = selectRange(request, etag, size)
  const headers = headersOf(reply.headers, etag, size, selection)
  if (selection.status !== 200 && selection.status !== 206) return withoutBody(reply, selection.status, headers)
  const { status } = selection
  const range: ByteRange = selection.status === 206 ? selection.range : { start: 0, end: size - 1 }
  const length = range.end - range.start + 1
  if (request.method === 'HEAD') return { ...reply, headers, length, body: none }
  const shortcut = length === 0 ? undefined : await content.shortcut?.(length, signal)
  if (shortcut !== undefined) return throughShortcut(reply, headers, content, shortcut)
  return { ...reply, status, headers, length, body: { kind: 'open', open: await content.open(range, signal) } }
}

/** The headers that a representation carries on HEAD, 200, 206 and 304 alike. */
function headersOf(
  given: HeaderList,
  etag: string,
  size: number,
  selection: ReturnType<typeof selectRange>,
): readonly Header[] {
  const headers: Header[] = [['etag', quoteETag(etag)], ['accept-ranges', 'bytes'], ...given]
  if (selection.status === 206)
    headers.push(['content-range', `bytes ${selection.range.start}-${selection.range.end}/${size}`])
  if (selection.status === 416) headers.push(['content-range', `bytes */${size}`])
  return headers
}

function withoutBody(reply: Reply, status: number, headers: readonly Header[]): ReadyReply {
  const kept = headers.filter(([name]) => name !== 'content-type')
  // A 304 has no length of its own; the others are empty.
  return { ...reply, status, headers: kept, length: status === 304 ? undefined : 0, body: none }
}

function throughShortcut(reply: Reply, headers: readonly Header[], content: Content, shortcut: Shortcut): ReadyReply {
  const dropped = new Set(['content-range', 'content-length'])
  if (shortcut.kind === 'redirect') {
    // Clients take size and entity tag from the redirect itself (hub-protocol §2).
    for (const name of ['content-type', 'x-linked-size', 'x-linked-etag', 'location', 'cache-control', 'repr-digest'])
      dropped.add(name)
    const linked: Header[] = [
      ['x-linked-size', String(content.size)],
      ['x-linked-etag', quoteETag(content.etag)],
      ['location', shortcut.url],
      // It is signed, and expires.
      ['cache-control', 'no-store'],
    ]
    const kept = headers.filter(([name]) => !dropped.has(name))
    return { ...reply, status: shortcut.status ?? 302, headers: [...kept, ...linked], length: 0, body: none }
  }
  // nginx reads the range from the client's request, and sends the file with these headers.
  const kept = headers.filter(([name]) => !dropped.has(name))
  return { ...reply, status: 200, headers: [...kept, ['x-accel-redirect', shortcut.path]], length: 0, body: none }
}
