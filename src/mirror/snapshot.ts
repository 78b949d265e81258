import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { blobKey } from './layout.ts'
import { blobNameOf, type Manifest } from './manifest.ts'

/** A file of a mirrored commit, whatever layout it was read from. */
export interface SnapshotFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Git's blob id; for a large file, that of its pointer. */
  readonly oid: string
  /** The opaque part of the ETag: what the Hub gives for this file. */
  readonly etag: string
  readonly lfs?: { readonly sha256: string; readonly pointerSize: number }
  /** Where the content lies; `undefined`: it was not mirrored. */
  readonly key: string | undefined
}

/** A mirrored commit as the server uses it: parsed once, immutable, kept in memory. */
export interface Snapshot {
  readonly storage: Storage
  readonly repository: Repository
  readonly commit: string
  readonly mirroredAt: Date
  readonly info: Readonly<Record<string, unknown>>
  readonly commits: readonly Readonly<Record<string, unknown>>[]
  /** By path, sorted as the Hub sorts a tree. */
  readonly files: ReadonlyMap<string, SnapshotFile>
  /** Folder → git's tree id. */
  readonly directories: ReadonlyMap<string, string>
  /** Whether every file of the commit is stored. */
  readonly complete: boolean
  /** Roughly what it takes in memory, in bytes. */
  readonly weight: number
  /** Answers rendered from it, kept as long as it is. */
  readonly rendered: Map<string, Buffer>
}

export function snapshotOf(storage: Storage, manifest: Manifest, textLength: number): Snapshot {
  const files = new Map<string, SnapshotFile>()
  for (const file of manifest.files.toSorted((a, b) => comparePaths(a.path, b.path))) {
    const name = blobNameOf(file)
    files.set(file.path, {
      path: file.path,
      size: file.size,
      oid: file.oid,
      etag: file.lfs?.sha256 ?? file.oid,
      ...(file.lfs === undefined ? {} : { lfs: { sha256: file.lfs.sha256, pointerSize: file.lfs.pointerSize } }),
      key: name === undefined ? undefined : blobKey(name),
    })
  }
  return {
    storage,
    repository: manifest.repository,
    commit: manifest.commit,
    mirroredAt: new Date(manifest.mirroredAt),
    info: manifest.info,
    commits: manifest.commits,
    files,
    directories: new Map(manifest.directories.map(({ path, oid }) => [path, oid])),
    complete: manifest.files.every((file) => file.blob !== null),
    // Parsed objects take some three times their text.
    weight: textLength * 3,
    rendered: new Map(),
  }
}

function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
