import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { blobKey, parseBlobKey, sha256OfName } from './layout.ts'
import { blobNameOf, type Manifest, type ManifestFile } from './manifest.ts'

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

/** The SHA-256 of a stored file's content; `undefined` where it is not stored, or nobody knows. */
export function sha256OfFile({ key, lfs }: SnapshotFile): string | undefined {
  const name = key === undefined ? undefined : parseBlobKey(key)
  if (name !== undefined) return sha256OfName(name)
  return key === undefined ? undefined : lfs?.sha256
}

/**
 * A mirrored commit as the server uses it: parsed once, kept in memory. It stays what it is, but that
 * files which were missing may get their content by being pulled through.
 */
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

/** A snapshot of a manifest, to which its owner adds what is pulled through. */
export class ManifestSnapshot implements Snapshot {
  readonly storage: Storage
  readonly repository: Repository
  readonly commit: string
  readonly mirroredAt: Date
  readonly info: Snapshot['info']
  readonly commits: Snapshot['commits']
  readonly directories: ReadonlyMap<string, string>
  readonly weight: number
  readonly rendered = new Map<string, Buffer>()
  readonly #files = new Map<string, SnapshotFile>()
  #missing = 0

  constructor(storage: Storage, manifest: Manifest, textLength: number) {
    this.storage = storage
    this.repository = manifest.repository
    this.commit = manifest.commit
    this.mirroredAt = new Date(manifest.mirroredAt)
    this.info = manifest.info
    this.commits = manifest.commits
    this.directories = new Map(manifest.directories.map(({ path, oid }) => [path, oid]))
    // Parsed objects take some three times their text.
    this.weight = textLength * 3
    for (const file of manifest.files.toSorted((a, b) => comparePaths(a.path, b.path))) {
      const one = snapshotFileOf(file)
      this.#files.set(file.path, one)
      if (one.key === undefined) this.#missing++
    }
  }

  get files(): ReadonlyMap<string, SnapshotFile> {
    return this.#files
  }

  get complete(): boolean {
    return this.#missing === 0
  }

  /** Gives a file that was missing the content that was pulled for it. */
  add(pulled: ManifestFile): void {
    const file = this.#files.get(pulled.path)
    const name = blobNameOf(pulled)
    if (file === undefined || file.key !== undefined || file.oid !== pulled.oid || name === undefined) return
    this.#files.set(file.path, { ...file, key: blobKey(name) })
    this.#missing--
  }
}

function snapshotFileOf(file: ManifestFile): SnapshotFile {
  const name = blobNameOf(file)
  return {
    path: file.path,
    size: file.size,
    oid: file.oid,
    etag: file.lfs?.sha256 ?? file.oid,
    ...(file.lfs === undefined ? {} : { lfs: { sha256: file.lfs.sha256, pointerSize: file.lfs.pointerSize } }),
    key: name === undefined ? undefined : blobKey(name),
  }
}

function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
