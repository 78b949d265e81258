import { formatRepository, type Repository, type RevisionListing, type TreeEntry } from '../hub/index.ts'
import type { ContentSource, OperationOptions, Storage } from '../plugin/index.ts'
import { type AdoptedFile, adoptBlobs, nameOf } from './adopt.ts'
import { blankManifest, withBlobs } from './compose-manifest.ts'
import { DeletionLog } from './deletion-log.ts'
import { manifestKey, refKey } from './layout.ts'
import { Lease } from './lease.ts'
import { ManifestClaim } from './manifest-claim.ts'
import { writeMarker } from './marker.ts'
import { ignoreDamage, readRef } from './metadata.ts'
import { RefClaim } from './ref-claim.ts'
import { storedBlob, storeFile } from './store-file.ts'

export interface PullRequest extends OperationOptions {
  /** Where the listing and the content come from. */
  readonly origin: string
  readonly repository: Repository
  readonly listing: RevisionListing
  readonly file: TreeEntry
  /** Asked again where the blob's name was condemned meanwhile. */
  readonly content: ContentSource
}

/**
 * Stores one file of a commit and records it: the commit is then a mirrored revision, of which other
 * files may be missing. Its branch is noted as `pulled`: where it was last seen, for the time when
 * the Hub can't be asked.
 */
export async function pullFile(
  storage: Storage,
  { origin, repository, listing, file, content, ...options }: PullRequest,
): Promise<void> {
  const log = new DeletionLog(storage)
  await log.read(options)
  await writeMarker(storage)
  await using lease = await Lease.begin(storage, 'pull', `pull ${formatRepository(repository)} ${file.path}`)
  const signal = options.signal === undefined ? lease.signal : AbortSignal.any([options.signal, lease.signal])
  const ref = await claimPulledRef(storage, repository, listing, lease, signal)
  const blank = blankManifest(origin, repository, listing)
  const key = manifestKey(repository, listing.commit)
  const claim = new ManifestClaim({ storage, lease, signal, kind: 'pull', key, blank })
  const blob = file.lfs && storedBlob(log.nameFor(file.lfs.oid))
  const adopted: AdoptedFile = { file, blob, isStored: false }
  const store = async (missing: readonly AdoptedFile[]): Promise<void> => {
    for (const one of missing) {
      const nameFor = (sha256: string) => (one.blob === undefined ? log.nameFor(sha256) : nameOf(one.blob))
      one.blob = await storeFile(storage, file, content, { signal, nameFor })
      one.isStored = true
    }
  }
  try {
    await adoptBlobs({ storage, log, lease, claim, files: [adopted], store, signal })
  } catch (error) {
    await Promise.allSettled([claim.release(), ref?.release()])
    throw error
  }
  const blobs = new Map(adopted.blob === undefined ? [] : [[file.path, adopted.blob]])
  await claim.commit((current) => withBlobs(current, blank, listing, blobs))
  const word = { commit: listing.commit, saidAt: listing.saidAt ?? new Date() }
  await ref?.commit(word, async () => word)
}

/** The branch's ref, claimed, if it is to be noted; one that is mirrored on purpose is not moved by pulling. */
async function claimPulledRef(
  storage: Storage,
  repository: Repository,
  { ref, commit }: RevisionListing,
  lease: Lease,
  signal: AbortSignal,
): Promise<RefClaim | undefined> {
  if (ref === undefined) return undefined
  const current = await readRef(storage, repository, ref.name).catch(ignoreDamage)
  if (current !== undefined && (current.pulled !== true || current.commit === commit)) return undefined
  const key = refKey(repository, ref.name)
  const claim = new RefClaim({ storage, lease, signal, key, kind: ref.kind, commit, pulled: true })
  await claim.claim()
  return claim
}
