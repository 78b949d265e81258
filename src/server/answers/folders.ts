import type { TreeEntry } from '../../hub/index.ts'
import type { Snapshot, SnapshotFile } from '../../mirror/index.ts'

/** A file as `/tree` and `/paths-info` show it; never with `xetHash`, which would lead clients past this mirror. */
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

/** One folder's entries, folders before files; made one by one, for a page needs few of many. */
export interface Listing {
  readonly total: number
  entries(start: number, end: number): readonly TreeEntry[]
}

interface Folder {
  readonly path: string
  readonly oid: string
}

interface Children {
  readonly folders: Folder[]
  readonly files: SnapshotFile[]
}

/** A snapshot's paths in order, so that what lies below a folder is one stretch; and each folder's children. */
class Folders {
  readonly #folders: readonly Folder[]
  readonly #files: readonly SnapshotFile[]
  readonly #children = new Map<string, Children>()
  /** At `i`: the bytes of all files before the one at `i`. */
  readonly #sizes: Float64Array

  constructor({ files, directories }: Snapshot) {
    this.#folders = Array.from(directories, ([path, oid]) => ({ path, oid })).toSorted(byPath)
    this.#files = [...files.values()].toSorted(byPath)
    this.#sizes = new Float64Array(this.#files.length + 1)
    for (const folder of this.#folders) this.#childrenOf(parentOf(folder.path)).folders.push(folder)
    for (const [index, file] of this.#files.entries()) {
      this.#childrenOf(parentOf(file.path)).files.push(file)
      this.#sizes[index + 1] = (this.#sizes[index] ?? 0) + file.size
    }
  }

  children(folder: string): Listing {
    const { folders, files } = this.#children.get(folder) ?? { folders: [], files: [] }
    return listing(folders, 0, folders.length, files, 0, files.length)
  }

  descendants(folder: string): Listing {
    return listing(this.#folders, ...below(this.#folders, folder), this.#files, ...below(this.#files, folder))
  }

  bytesBelow(folder: string): number {
    const [first, end] = below(this.#files, folder)
    return (this.#sizes[end] ?? 0) - (this.#sizes[first] ?? 0)
  }

  #childrenOf(folder: string): Children {
    let children = this.#children.get(folder)
    if (children === undefined) {
      children = { folders: [], files: [] }
      this.#children.set(folder, children)
    }
    return children
  }
}

const indexed = new WeakMap<Snapshot, Folders>()

/** The index is made once for a snapshot, and goes with it. */
export function foldersOf(snapshot: Snapshot): Folders {
  let folders = indexed.get(snapshot)
  if (folders === undefined) {
    folders = new Folders(snapshot)
    indexed.set(snapshot, folders)
  }
  return folders
}

function listing(
  folders: readonly Folder[],
  firstFolder: number,
  endOfFolders: number,
  files: readonly SnapshotFile[],
  firstFile: number,
  endOfFiles: number,
): Listing {
  const count = endOfFolders - firstFolder
  return {
    total: count + endOfFiles - firstFile,
    entries: (start, end) => [
      ...folders
        .slice(Math.min(endOfFolders, firstFolder + start), Math.min(endOfFolders, firstFolder + end))
        .map(({ path, oid }) => directoryEntry(path, oid)),
      ...files
        .slice(
          firstFile + Math.max(0, start - count),
          Math.min(endOfFiles, Math.max(firstFile, firstFile + end - count)),
        )
        .map(fileEntry),
    ],
  }
}

/** Where the paths below a folder begin and end among sorted ones. */
function below(sorted: readonly { readonly path: string }[], folder: string): readonly [first: number, end: number] {
  if (folder === '') return [0, sorted.length]
  // "/" is followed by "0", so that `folder0` comes right after everything below the folder.
  return [firstFrom(sorted, `${folder}/`), firstFrom(sorted, `${folder}0`)]
}

function firstFrom(sorted: readonly { readonly path: string }[], bound: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle]?.path ?? '') < bound) low = middle + 1
    else high = middle
  }
  return low
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '' : path.slice(0, slash)
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}
