import { encodeExtended } from 'content-disposition'
import { lookup } from 'mime-types'
import { quoteETag } from '../../hub/index.ts'
import { type SnapshotFile, sha256OfFile } from '../../mirror/index.ts'
import type { HeaderList } from '../../plugin/index.ts'

/** The Hub's content type for a path: text is shown as text, the unknown is bytes. */
export function contentTypeOf(path: string): string {
  const type = lookup(path)
  if (type === false) return 'application/octet-stream'
  // Files are user content: what a browser would run as ours is shown as text.
  if (/^(?:text\/|application\/(?:javascript|xhtml\+xml|x-sh|yaml)|image\/svg)/.test(type))
    return 'text/plain; charset=utf-8'
  return type
}

/** As the Hub writes it: both forms, and the trailing semicolon that old clients' regular expressions look for. */
export function contentDispositionOf(path: string, download: boolean): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const ascii = name.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')
  return `${download ? 'attachment' : 'inline'}; filename*=${encodeExtended(name)}; filename="${ascii}";`
}

/** The headers of a mirrored file, but for its entity tag and range, which the writer sets (hub-protocol §2). */
export function fileHeaders(commit: string, file: SnapshotFile, download: boolean): HeaderList {
  return [
    ['x-repo-commit', commit],
    ['content-type', contentTypeOf(file.path)],
    ['content-disposition', contentDispositionOf(file.path, download)],
    ['content-security-policy', "default-src 'none'; sandbox"],
    ['x-content-type-options', 'nosniff'],
    ...digestOf(file),
    ...(file.lfs === undefined
      ? []
      : ([
          ['x-linked-size', String(file.size)],
          ['x-linked-etag', quoteETag(file.etag)],
        ] as const)),
  ]
}

/** RFC 9530: of the whole file, whatever range is sent. */
function digestOf(file: SnapshotFile): HeaderList {
  const sha256 = sha256OfFile(file)
  return sha256 === undefined ? [] : [['repr-digest', `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`]]
}
