/** An entity tag in quotes, as RFC 9110 §8.8.3 has it. */
export function quoteETag(opaque: string): string {
  return `"${opaque}"`
}

/** The opaque part of an entity tag: without `W/` and quotes. */
export function unquoteETag(etag: string): string {
  return etag
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1')
}

/** Whether an `If-None-Match` list names the tag, by weak comparison (RFC 9110 §13.1.2). */
export function ifNoneMatchNames(header: string, opaque: string): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some((candidate) => unquoteETag(candidate) === opaque)
}

/** Whether an `If-Match` list names the tag, by strong comparison (RFC 9110 §13.1.1). */
export function ifMatchNames(header: string, opaque: string): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some((candidate) => candidate.trim() === quoteETag(opaque))
}
