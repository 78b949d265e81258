import type { IncomingMessage } from 'node:http'
import { type ByteRange, ifMatchNames, ifNoneMatchNames, parseRange, quoteETag } from '../../hub/index.ts'

/** What a request's conditions and range make of the answer (RFC 9110 §13.2.2, §14). */
export type Selection =
  | { readonly status: 200 }
  | { readonly status: 206; readonly range: ByteRange }
  | { readonly status: 304 | 412 | 416 }

export function selectRange(request: IncomingMessage, etag: string, size: number): Selection {
  const { headers } = request
  if (headers['if-match'] !== undefined && !ifMatchNames(headers['if-match'], etag)) return { status: 412 }
  if (headers['if-none-match'] !== undefined && ifNoneMatchNames(headers['if-none-match'], etag)) return { status: 304 }
  // HEAD ignores Range (RFC 9110 §14.2); so does a request whose If-Range names another content.
  if (headers.range === undefined || request.method !== 'GET') return { status: 200 }
  const ifRange = headers['if-range']
  if (ifRange !== undefined && ifRange !== quoteETag(etag)) return { status: 200 }
  const range = parseRange(headers.range, size)
  if (range === undefined) return { status: 200 }
  return range === 'unsatisfiable' ? { status: 416 } : { status: 206, range }
}
