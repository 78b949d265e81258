import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { Content } from './content.ts'

/** Bytes of a file in one chunk, and chunks in one xorb. */
const chunkSize = 64 * 1024
const chunksPerXorb = 256
const chunkHeaderSize = 8

/** Where a client turns to with its token: `…/xet-read-token/{revision}`. */
export function sendXetToken(response: ServerResponse, casUrl: string): void {
  const token = { casUrl, accessToken: 'xet_stand_in', exp: Math.floor(Date.now() / 1000) + 3600 }
  // Python reads the headers, Rust the body.
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'X-Xet-Cas-Url': token.casUrl,
    'X-Xet-Access-Token': token.accessToken,
    'X-Xet-Token-Expiration': token.exp,
  })
  response.end(JSON.stringify(token))
}

interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

/**
 * How a file is put together from xorbs, as the CAS server says it: chunks are stored as they are,
 * without compression, so a chunk's place follows from its number.
 */
export function reconstruction(
  content: Content,
  xetHash: string,
  range: Span,
  urlOf: (xorb: number) => string,
): object {
  const firstChunk = Math.floor(range.start / chunkSize)
  const endChunk = Math.ceil(range.end / chunkSize)
  const terms: object[] = []
  const fetchInfo: Record<string, object[]> = {}
  for (let chunk = firstChunk; chunk < endChunk; ) {
    const xorb = Math.floor(chunk / chunksPerXorb)
    const end = Math.min(endChunk, (xorb + 1) * chunksPerXorb)
    const local = { start: chunk - xorb * chunksPerXorb, end: end - xorb * chunksPerXorb }
    const hash = xorbHash(xetHash, xorb)
    terms.push({ hash, unpacked_length: Math.min(content.size, end * chunkSize) - chunk * chunkSize, range: local })
    const bytes = {
      start: local.start * (chunkSize + chunkHeaderSize),
      end: serializedEnd(content, xorb, local.end) - 1,
    }
    fetchInfo[hash] = [{ range: local, url: urlOf(xorb), url_range: bytes }]
    chunk = end
  }
  return { offset_into_first_range: range.start - firstChunk * chunkSize, terms, fetch_info: fetchInfo }
}

/** Sends a range of a xorb: each chunk behind a header that says how long it is. */
export async function sendXorb(
  request: IncomingMessage,
  response: ServerResponse,
  content: Content,
  xorb: number,
): Promise<void> {
  const start = xorb * chunksPerXorb * chunkSize
  const bytes = await buffer(content.read(start, Math.min(content.size, start + chunksPerXorb * chunkSize) - 1))
  const parts: Buffer[] = []
  for (let offset = 0; offset < bytes.length; offset += chunkSize) {
    const chunk = bytes.subarray(offset, offset + chunkSize)
    const header = Buffer.alloc(chunkHeaderSize) // version 0, stored as it is
    header.writeUIntLE(chunk.length, 1, 3)
    header.writeUIntLE(chunk.length, 5, 3)
    parts.push(header, chunk)
  }
  const whole = Buffer.concat(parts)
  const [, from = '0', to = String(whole.length - 1)] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const part = whole.subarray(Number(from), Number(to) + 1)
  response.writeHead(206, {
    'Content-Length': part.length,
    'Content-Range': `bytes ${from}-${Number(from) + part.length - 1}/${whole.length}`,
  })
  response.end(part)
}

function xorbHash(xetHash: string, xorb: number): string {
  return xetHash.slice(0, 56) + xorb.toString(16).padStart(8, '0')
}

function serializedEnd(content: Content, xorb: number, endChunk: number): number {
  const unpacked = Math.min(content.size - xorb * chunksPerXorb * chunkSize, endChunk * chunkSize)
  return unpacked + endChunk * chunkHeaderSize
}
