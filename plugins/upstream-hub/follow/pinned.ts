import type { HeaderList } from 'mirrorface/plugin'
import { headerOf } from '../transport/answer.ts'

/** What the upstream said of the content before it sent us elsewhere for it. */
export interface Pinned {
  /** Of the content: an LFS file's SHA-256, not the CDN's own tag. */
  readonly etag: string | undefined
  /** Bytes. */
  readonly size: number | undefined
  readonly commit: string | undefined
}

export function pinnedBy(headers: HeaderList): Pinned {
  const size = headerOf(headers, 'x-linked-size')
  return {
    etag: headerOf(headers, 'x-linked-etag') ?? headerOf(headers, 'etag'),
    size: size !== undefined && /^\d{1,15}$/.test(size) ? Number(size) : undefined,
    commit: headerOf(headers, 'x-repo-commit'),
  }
}

/** Whether two words of the upstream are of one content: a branch may have moved between them. */
export function isSameContent(one: Pinned, other: Pinned): boolean {
  if (one.size !== other.size) return false
  return one.etag !== undefined && other.etag !== undefined ? one.etag === other.etag : one.commit === other.commit
}

/** A client's conditions against the content's tag (RFC 9110 §13.2.2): the status that they give, if not the content. */
export function conditionOf(
  headers: Readonly<Record<string, string>>,
  { etag }: Pick<Pinned, 'etag'>,
): 304 | 412 | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined && !matches(ifMatch, etag, true)) return 412
  return ifNoneMatch !== undefined && matches(ifNoneMatch, etag, false) ? 304 : undefined
}

/** The range that a client asks for; `If-Range` names the content's tag, which the CDN does not know. */
export function rangeFor(headers: Readonly<Record<string, string>>, { etag }: Pinned): string | undefined {
  const { range, 'if-range': ifRange } = headers
  return ifRange === undefined || (ifRange === etag && !ifRange.startsWith('W/')) ? range : undefined
}

function matches(list: string, etag: string | undefined, isStrong: boolean): boolean {
  if (list.trim() === '*') return true
  if (etag === undefined || (isStrong && etag.startsWith('W/'))) return false
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => (isStrong ? tag === etag : opaque(tag) === opaque(etag)))
}

function opaque(etag: string): string {
  return etag.replace(/^W\//, '')
}
