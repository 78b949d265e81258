import type { Repository, RevisionListing, TreeEntry } from '../hub/index.ts'
import { type DatedListing, saidAt } from './dated-listing.ts'
import { layoutVersion } from './layout.ts'
import type { Manifest, ManifestFile } from './manifest.ts'
import type { StoredBlob } from './store-file.ts'

/** A commit's manifest of which no file is stored. */
export function blankManifest(origin: string, repository: Repository, listed: DatedListing): Manifest {
  const { listing } = listed
  return {
    layout: layoutVersion,
    repository: { ...repository },
    commit: listing.commit,
    mirroredAt: new Date().toISOString(),
    mirroredFrom: origin,
    saidAt: saidAt(listed).toISOString(),
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
  const isChanged = withLatestInfo(current, blank) !== current || !isSame(files, current.files)
  if (!isChanged && current.pulled !== true) return current
  const { info, saidAt: said } = isBefore(blank.saidAt, current) ? current : blank
  return { ...current, ...blank, info, saidAt: said, files, pulled: undefined }
}

/**
 * The manifest with what was said last about the repository, for it may have become private or gated; the manifest
 * itself where nothing is to be changed.
 */
export function withLatestInfo(current: Manifest, { info, saidAt: said }: Manifest): Manifest {
  const isNews = !isSame(withoutCounts(current.info), withoutCounts(info)) && !isBefore(said, current)
  return isNews ? { ...current, info, saidAt: said } : current
}

/** Whether a manifest may have been written by a later word. A time to come is that of a clock gone wrong. */
function isBefore(said: string | undefined, { saidAt: stored, mirroredAt }: Manifest): boolean {
  const word = new Date(said ?? 0)
  if (stored !== undefined) return word < new Date(stored)
  const writtenAt = new Date(mirroredAt)
  return word < writtenAt && writtenAt <= new Date()
}

/** As JSON, which is what is stored. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
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
  return without(volatileInfo, info)
}

/** Kept as they were once: they alone are no reason to write a manifest again. */
const counts = new Set(['downloads', 'downloadsAllTime', 'likes'])

function withoutCounts(info: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return without(counts, info)
}

function without(names: ReadonlySet<string>, info: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(info).filter(([name]) => !names.has(name)))
}

/** What a listing says of the repository, in short: the same for listings that differ in nothing that is written anew. */
export function infoMark(info: RevisionListing['info']): string {
  return JSON.stringify(withoutCounts(lastingInfo(info)))
}
