import type { IncomingHttpHeaders } from 'node:http'
import { type ByteRange, ifMatchNames, ifNoneMatchNames, parseRange, quoteETag } from '../../hub/index.ts'

/** The part of a request that decides which of a representation's bytes are sent. */
export interface Conditions {
  readonly method: string
  readonly headers: IncomingHttpHeaders
}

/** What a request's conditions and range make of the reply (RFC 9110 §13.2.2, §14). */
export type Selection =
  | { readonly status: 200 }
  | { readonly status: 206; readonly range: ByteRange }
  | { readonly status: 304 | 412 | 416 }

const whole: Selection = { status: 200 }

/**
 * `range-parser` is not used: it calls a suffix longer than the file unsatisfiable, and `bytes=5-2` as well, where
 * RFC 9110 §14.1.1 has the whole file sent.
 */
export function selectRange({ method, headers }: Conditions, etag: string, size: number): Selection {
  if (headers['if-match'] !== undefined && !ifMatchNames(headers['if-match'], etag)) return { status: 412 }
  // A write that finds what it must not find fails (RFC 9110 §13.1.2); our POSTs only read.
  if (headers['if-none-match'] !== undefined && method !== 'POST' && ifNoneMatchNames(headers['if-none-match'], etag))
    return { status: 304 }
  // HEAD ignores Range (RFC 9110 §14.2); so does a request whose If-Range names another content.
  if (headers.range === undefined || method !== 'GET') return whole
  const ifRange = headers['if-range']
  if (ifRange !== undefined && ifRange !== quoteETag(etag)) return whole
  const range = parseRange(headers.range, size)
  if (range === undefined) return whole
  return range === 'unsatisfiable' ? { status: 416 } : { status: 206, range }
}
