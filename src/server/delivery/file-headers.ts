import { lookup } from 'mime-types'
import { quoteETag } from '../../hub/index.ts'
import type { SnapshotFile } from '../../mirror/index.ts'

/** The Hub's content type for a path: text is shown as text, the unknown is bytes. */
export function contentTypeOf(path: string): string {
  const type = lookup(path)
  if (type === false) return 'application/octet-stream'
  // Files are user content: what a browser would run as ours is shown as text.
  if (/^(?:text\/|application\/(?:javascript|xhtml\+xml|x-sh|yaml)|image\/svg)/.test(type))
    return 'text/plain; charset=utf-8'
  return type
}

/** As the Hub writes it, both forms and a semicolon at the end, which old clients look for. */
export function contentDispositionOf(path: string, download: boolean): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const extended = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const ascii = name.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')
  return `${download ? 'attachment' : 'inline'}; filename*=UTF-8''${extended}; filename="${ascii}";`
}

/** The headers that a mirrored file carries on HEAD, 200, 206 and 304 alike (hub-protocol §2). */
export function fileHeaders(commit: string, file: SnapshotFile, download: boolean): Record<string, string> {
  return {
    ETag: quoteETag(file.etag),
    'X-Repo-Commit': commit,
    'Accept-Ranges': 'bytes',
    'Content-Disposition': contentDispositionOf(file.path, download),
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    ...(file.lfs === undefined ? {} : linkedHeaders(file)),
  }
}

/** Size and ETag of what a redirect leads to: clients take them from the redirect itself. */
export function linkedHeaders(file: SnapshotFile): Record<string, string> {
  return { 'X-Linked-Size': String(file.size), 'X-Linked-ETag': quoteETag(file.etag) }
}
