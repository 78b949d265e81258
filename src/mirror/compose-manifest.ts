import type { Repository, RevisionListing, TreeEntry } from '../hub/index.ts'
import { layoutVersion } from './layout.ts'
import type { Manifest, ManifestFile } from './manifest.ts'
import type { StoredBlob } from './store-file.ts'

/** A commit's manifest of which no file is stored. */
export function blankManifest(origin: string, repository: Repository, listing: RevisionListing): Manifest {
  return {
    layout: layoutVersion,
    repository: { ...repository },
    commit: listing.commit,
    mirroredAt: new Date().toISOString(),
    mirroredFrom: origin,
    info: lastingInfo(listing.info),
    commits: listing.commits.map((commit) => ({ ...commit })),
    files: filesOf(listing, new Map(), []),
    directories: listing.directories.map(({ path, oid }) => ({ path, oid })),
  }
}

/**
 * The manifest with these blobs. What others recorded stays recorded: another run may have stored
 * other files of the commit, and what has been lost since is for `verify` to tell.
 */
export function withBlobs(
  current: Manifest,
  blank: Manifest,
  listing: RevisionListing,
  blobs: ReadonlyMap<string, StoredBlob>,
): Manifest {
  const files = filesOf(listing, blobs, current.files)
  const isChanged = JSON.stringify(files) !== JSON.stringify(current.files)
  return isChanged || current.pulled === true ? { ...current, ...blank, files, pulled: undefined } : current
}

function filesOf(
  listing: RevisionListing,
  blobs: ReadonlyMap<string, StoredBlob>,
  recorded: readonly ManifestFile[],
): ManifestFile[] {
  const formerly = new Map(recorded.map((file) => [file.path, file]))
  return listing.files.map((file) => manifestFile(file, blobs.get(file.path), formerly.get(file.path)))
}

/** A file as manifests have it: with this content, else what was recorded of it, else without. */
export function manifestFile(file: TreeEntry, stored: StoredBlob | undefined, formerly?: ManifestFile): ManifestFile {
  const recorded: Pick<ManifestFile, 'blob' | 'copy' | 'crc32c' | 'pulled'> =
    stored === undefined ? (formerly ?? { blob: null }) : { ...stored, blob: stored.sha256 }
  const { blob, copy, crc32c, pulled } = recorded
  return {
    path: file.path,
    size: file.size,
    oid: file.oid,
    ...(file.lfs !== undefined && { lfs: { sha256: file.lfs.oid, pointerSize: file.lfs.pointerSize ?? 0 } }),
    blob,
    ...(copy !== undefined && { copy }),
    ...(crc32c !== undefined && { crc32c }),
    ...(pulled === true && { pulled }),
  }
}

/** Left out: what changes by the hour, what depends on who asks, and what is rebuilt from the files. */
const volatileInfo = new Set([
  'siblings',
  'spaces',
  'trendingScore',
  'inference',
  'inferenceProviderMapping',
  'xetEnabled',
])

function lastingInfo(info: RevisionListing['info']): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([key]) => !volatileInfo.has(key)))
}
