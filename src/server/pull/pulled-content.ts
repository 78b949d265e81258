import { createHash } from 'node:crypto'
import { gitBlobHash, type TreeEntry } from '../../hub/index.ts'
import type { SnapshotFile } from '../../mirror/index.ts'
import { ContentMismatch, type ContentSource } from '../../plugin/index.ts'
import type { GrowingFile } from './growing-file.ts'

/** The content for the storage, which also lands in the growing file. */
export function tee(content: ContentSource, growing: GrowingFile): ContentSource {
  return async function* (start) {
    let offset = 0
    // A storage that kept a part of an interrupted write needs only the rest; the clients need all.
    for await (const bytes of content(0)) {
      // A storage that asks again gets what the clients have already.
      if (growing.received < offset + bytes.length) await growing.append(bytes.subarray(growing.received - offset))
      const skipped = Math.max(0, Math.min(bytes.length, start - offset))
      offset += bytes.length
      if (skipped < bytes.length) yield bytes.subarray(skipped)
    }
  }
}

/** What the storage has no room for still reaches the clients that wait for it. */
export async function receiveRest(content: ContentSource, growing: GrowingFile, file: TreeEntry): Promise<void> {
  if (growing.received < file.size) for await (const bytes of content(growing.received)) await growing.append(bytes)
  const expected = file.lfs?.oid ?? file.oid
  const found = await growing.hash(file.lfs === undefined ? gitBlobHash(file.size) : createHash('sha256'))
  if (found !== expected) throw new ContentMismatch(file.path, expected, found)
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
