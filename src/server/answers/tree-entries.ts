import type { TreeEntry } from '../../hub/index.ts'
import type { Snapshot, SnapshotFile } from '../../mirror/index.ts'

/** A file as `/tree` and `/paths-info` show it; never with `xetHash`, which would lead clients past us. */
export function fileEntry(file: SnapshotFile): TreeEntry {
  return {
    type: 'file',
    oid: file.oid,
    size: file.size,
    ...(file.lfs && { lfs: { oid: file.lfs.sha256, size: file.size, pointerSize: file.lfs.pointerSize } }),
    path: file.path,
  }
}

export function directoryEntry(path: string, oid: string): TreeEntry {
  return { type: 'directory', oid, size: 0, path }
}

/** The entry of a path, or `undefined` where the commit has none. */
export function findEntry(snapshot: Snapshot, path: string): TreeEntry | undefined {
  const file = snapshot.files.get(path)
  if (file !== undefined) return fileEntry(file)
  const oid = snapshot.directories.get(path)
  return oid === undefined ? undefined : directoryEntry(path, oid)
}

/** Everything in a folder (`''`: the root), or below it, folders before files. */
export function entriesIn(snapshot: Snapshot, folder: string, recursive: boolean): TreeEntry[] {
  const prefix = folder === '' ? '' : `${folder}/`
  const isInside = (path: string) => path.startsWith(prefix) && (recursive || !path.includes('/', prefix.length))
  const entries: TreeEntry[] = []
  for (const [path, oid] of snapshot.directories) if (isInside(path)) entries.push(directoryEntry(path, oid))
  for (const file of snapshot.files.values()) if (isInside(file.path)) entries.push(fileEntry(file))
  return entries
}
