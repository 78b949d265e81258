import type { HeaderList } from 'mirrorface/plugin'
import { headerOf, lengthOf } from '../transport/answer.ts'

/** Bytes `start` to `end`, both inclusive, of a whole of `total`; an empty whole has `end` -1. */
export interface Span {
  readonly start: number
  readonly end: number
  readonly total: number
}

/** `Content-Range` of a 206 (RFC 9110 §14.4); `undefined` where it is absent, malformed, or tells no total. */
export function parseContentRange(value: string | undefined): Span | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(value?.trim() ?? '')
  if (match === null) return undefined
  const [start, end, total] = match.slice(1).map(Number) as [number, number, number]
  return start <= end && end < total ? { start, end, total } : undefined
}

/** The bytes that an answer of 200 or 206 carries; `undefined` where it does not say, or contradicts itself. */
export function spanOf({
  status,
  headers,
}: {
  readonly status: number
  readonly headers: HeaderList
}): Span | undefined {
  const length = lengthOf(headers)
  if (status === 200) return length === undefined ? undefined : { start: 0, end: length - 1, total: length }
  const span = parseContentRange(headerOf(headers, 'content-range'))
  return span !== undefined && (length === undefined || length === span.end - span.start + 1) ? span : undefined
}

/** What one range of a `Range` header asks for; `undefined`: the whole, for it is absent, malformed, or of several ranges. */
export function singleRange(header: string | undefined): string | undefined {
  return header !== undefined && /^bytes=(?:\d{1,15}-\d{0,15}|-\d{1,15})$/i.test(header.trim())
    ? header.trim()
    : undefined
}

/** Whether an answer's span is what was asked, of which a server may give less (RFC 9110 §15.3.7) but nothing else. */
export function isAnswerTo(range: string, { start, end, total }: Span): boolean {
  const [first = '', last = ''] = range.slice('bytes='.length).split('-')
  if (first === '') return start === Math.max(0, total - Number(last))
  return start === Number(first) && (last === '' || end <= Number(last))
}
