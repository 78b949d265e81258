import type { Repository, RevisionListing } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { manifestKey } from './layout.ts'
import type { Manifest, ManifestFile } from './manifest.ts'
import { writeMarker } from './marker.ts'
import { ignoreDamage, readManifest, readRef, writeRef } from './metadata.ts'
import { writeJson, writerOf } from './objects.ts'
import type { StoredBlob } from './store-file.ts'

/** What the source said of a revision, and when it was asked: files of a commit stay, but who may read it changes. */
export interface DatedListing {
  readonly listing: RevisionListing
  readonly listedAt: Date
}

/**
 * Records that one file of a commit is stored: the commit is then a mirrored revision, of which
 * other files may be missing. Its branch is noted as `pulled`: where it was last seen, for the time
 * when the Hub can't be asked.
 */
export async function recordFile(
  storage: Storage,
  origin: string,
  repository: Repository,
  listed: DatedListing,
  path: string,
  blob: StoredBlob,
): Promise<void> {
  const { listing } = listed
  await writeMarker(storage)
  await writeManifest(storage, origin, repository, listed, new Map([[path, blob]]))
  if (listing.ref === undefined) return
  const ref = await readRef(storage, repository, listing.ref.name).catch(ignoreDamage)
  if (ref !== undefined && ref.pulled !== true) return
  const pulled = { commit: listing.commit, kind: listing.ref.kind, pulled: true } as const
  await writeRef(storage, repository, listing.ref.name, pulled, new Date())
}

/**
 * Writes a commit's manifest. What a former one recorded stays recorded: another run may have stored
 * other files of the commit meanwhile, and what has been lost since is for `verify` to tell. Of what is
 * said about the repository the later word counts, for it may have become private or gated.
 */
export async function writeManifest(
  storage: Storage,
  origin: string,
  repository: Repository,
  { listing, listedAt }: DatedListing,
  blobs: ReadonlyMap<string, StoredBlob>,
): Promise<Manifest> {
  const former = await readManifest(storage, repository, listing.commit).catch(ignoreDamage)
  const recorded = new Map(former?.files.map((file) => [file.path, file]))
  const files = listing.files.map((file): ManifestFile => {
    const stored = blobs.get(file.path)
    const { blob = null, crc32c } =
      stored === undefined ? (recorded.get(file.path) ?? {}) : { blob: stored.sha256, crc32c: stored.crc32c }
    return {
      path: file.path,
      size: file.size,
      oid: file.oid,
      ...(file.lfs !== undefined && { lfs: { sha256: file.lfs.oid, pointerSize: file.lfs.pointerSize ?? 0 } }),
      blob,
      ...(crc32c !== undefined && { crc32c }),
    }
  })
  const info = former !== undefined && isOlder(listedAt, former) ? former.info : lastingInfo(listing.info)
  if (former !== undefined && isSame(former.files, files) && isSame(withoutCounts(former.info), withoutCounts(info)))
    return former
  const manifest: Manifest = {
    layout: 2,
    repository,
    commit: listing.commit,
    mirroredAt: new Date().toISOString(),
    mirroredFrom: origin,
    info,
    commits: listing.commits.map((commit) => ({ ...commit })),
    files,
    directories: listing.directories.map(({ path, oid }) => ({ path, oid })),
  }
  await writeJson(writerOf(storage), manifestKey(repository, listing.commit), manifest)
  return manifest
}

/** Whether a manifest may have been written by a later word. A time to come is that of a clock gone wrong. */
function isOlder(listedAt: Date, { mirroredAt }: Manifest): boolean {
  const writtenAt = new Date(mirroredAt)
  return listedAt < writtenAt && writtenAt <= new Date()
}

/** As JSON, which is what is stored. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
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
