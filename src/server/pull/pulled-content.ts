import { createHash } from 'node:crypto'
import { gitBlobHash, type TreeEntry } from '../../hub/index.ts'
import type { SnapshotFile } from '../../mirror/index.ts'
import { ContentMismatch, type ContentSource } from '../../plugin/index.ts'
import type { GrowingFile } from './growing-file.ts'

/** Puts the content on disk, and compares it with the Hub's word. */
export async function receive(content: ContentSource, file: TreeEntry, growing: GrowingFile): Promise<void> {
  const [hash, expected] =
    file.lfs === undefined ? [gitBlobHash(file.size), file.oid] : [createHash('sha256'), file.lfs.oid]
  for await (const bytes of content(0)) {
    hash.update(bytes)
    await growing.append(bytes)
  }
  const found = hash.digest('hex')
  if (found !== expected) throw new ContentMismatch(file.path, expected, found)
}

/**
 * Resolves where the Hub gives the end of a file under this very name, and rejects as it does otherwise. A listing alone
 * proves nothing: whoever writes it may name the SHA-256 of content that is somebody else's.
 */
export async function confirm(fetched: ContentSource, { path, size }: TreeEntry): Promise<void> {
  for await (const bytes of fetched(size - 1)) if (bytes.length === 1) return
  throw new ContentMismatch(path, `${size} bytes`, 'no end')
}

/** What is stored, and from where that fails on, because a sweep has taken it, say, what the Hub has. */
export function firstFrom(stored: ContentSource, fetched: ContentSource): ContentSource {
  return async function* (start) {
    let offset = start
    try {
      for await (const bytes of stored(start)) {
        offset += bytes.length
        yield bytes
      }
    } catch {
      yield* fetched(offset)
    }
  }
}

export function snapshotFile(file: TreeEntry): SnapshotFile {
  return {
    path: file.path,
    size: file.size,
    oid: file.oid,
    etag: file.lfs?.oid ?? file.oid,
    ...(file.lfs !== undefined && { lfs: { sha256: file.lfs.oid, pointerSize: file.lfs.pointerSize ?? 0 } }),
    key: undefined,
  }
}
