import pMap from 'p-map'
import picomatch from 'picomatch'
import type { Repository, RevisionListing, TreeEntry } from '../hub/index.ts'
import type { ContentSource, Storage } from '../plugin/index.ts'
import { nameOf } from './adopt.ts'
import { DeletionLog } from './deletion-log.ts'
import { blobKey } from './layout.ts'
import { blobNameOf, type Manifest } from './manifest.ts'
import { ignoreDamage, readManifest, readRef } from './metadata.ts'
import { type StoredBlob, storedBlob } from './store-file.ts'

/** Where repositories are mirrored from: the Hub, or another storage. */
export interface RepositorySource {
  /** A URL, for the manifest and for people. */
  readonly origin: string
  describe(repository: Repository, revision: string, options: { signal: AbortSignal }): Promise<RevisionListing>
  /** A file's bytes from an offset on. The source retries and resumes by itself. */
  open(repository: Repository, commit: string, file: TreeEntry, options: OpenOptions): ContentSource
}

export interface OpenOptions {
  readonly signal: AbortSignal
  /** Called as bytes arrive, with their number: before they are handed on, which may be much later. */
  readonly onReceived?: (bytes: number) => void
}

export interface MirrorRequest {
  readonly repository: Repository
  readonly revision: string
  /** Globs on paths; empty: all. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

export interface MirrorOptions {
  /** Files at a time. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly progress: MirrorProgress
}

/** Told what happens, for a display. All sizes in bytes. */
export interface MirrorProgress {
  planned(plan: MirrorPlan): void
  fileStarted(file: TreeEntry): void
  /** Bytes that an earlier run left, and that are not fetched again. */
  bytesResumed(file: TreeEntry, bytes: number): void
  bytesReceived(file: TreeEntry, bytes: number): void
  fileFinished(file: TreeEntry): void
}

/** What a run would do. */
export interface MirrorPlan {
  readonly request: MirrorRequest
  /** When the source was asked. */
  readonly listedAt: Date
  readonly listing: RevisionListing
  /** Files chosen whose content is in the storage already. */
  readonly present: readonly TreeEntry[]
  readonly missing: readonly TreeEntry[]
  /** Files that the globs leave out, or that the source lacks itself. */
  readonly leftOut: readonly TreeEntry[]
  /** The blob of every file whose content is known to be stored, by path. */
  readonly blobs: ReadonlyMap<string, StoredBlob>
  /** The commit's manifest as it is. */
  readonly recorded: Manifest | undefined
  /** Read before anything else was. */
  readonly log: DeletionLog
}

export interface MirrorResult {
  readonly commit: string
  readonly files: number
  readonly downloadedFiles: number
  readonly downloadedBytes: number
  readonly bytes: number
}

/**
 * Finds out what of a revision is missing in the storage.
 *
 * A large file is known by its SHA-256. A regular file is known by git's id only; so the manifests
 * that we have of the repository tell which blob an id was stored as.
 */
export async function planMirror(
  source: RepositorySource,
  storage: Storage,
  request: MirrorRequest,
  options: { readonly signal: AbortSignal },
): Promise<MirrorPlan> {
  const log = new DeletionLog(storage)
  await log.read(options)
  const listedAt = new Date()
  const listing = await source.describe(request.repository, request.revision, options)
  const isChosen = chooser(request)
  const recorded = await readManifest(storage, request.repository, listing.commit).catch(ignoreDamage)
  const named = await namedBlobs(storage, request, listing, recorded)
  const blobs = new Map<string, StoredBlob>()
  await pMap(
    listing.files,
    async (file) => {
      const known = named.get(file.lfs?.oid ?? file.oid)
      const name = known === undefined ? file.lfs && log.nameFor(file.lfs.oid) : nameOf(known)
      if (name === undefined) return
      const found = await storage.stat(blobKey(name), options)
      if (found?.size === file.size) blobs.set(file.path, storedBlob(name, found))
    },
    { concurrency: 32 },
  )
  const fates = Object.groupBy(listing.files, ({ path }) => {
    if (!isChosen(path)) return 'leftOut'
    if (blobs.has(path)) return 'present'
    return listing.absent?.has(path) === true ? 'leftOut' : 'missing'
  })
  const { present = [], missing = [], leftOut = [] } = fates
  return { request, listedAt, listing, present, missing, leftOut, blobs, recorded, log }
}

export function chooser(request: Pick<MirrorRequest, 'include' | 'exclude'>): (path: string) => boolean {
  // As in huggingface_hub, `*` crosses slashes: `*.json` chooses `a/b.json` as well.
  const matcher = (globs: readonly string[]) => globs.map((glob) => picomatch(glob, { bash: true, dot: true }))
  const include = matcher(request.include)
  const exclude = matcher(request.exclude)
  return (path) =>
    (include.length === 0 || include.some((matches) => matches(path))) && !exclude.some((matches) => matches(path))
}

/** Contents that manifests name: of this commit, and of the one at which the ref was. By the Hub's id of the content. */
async function namedBlobs(
  storage: Storage,
  request: MirrorRequest,
  listing: RevisionListing,
  recorded: Manifest | undefined,
): Promise<Map<string, StoredBlob>> {
  const former = await readRef(storage, request.repository, listing.ref?.name ?? 'main').catch(ignoreDamage)
  const manifests = [recorded]
  if (former !== undefined && former.commit !== listing.commit)
    manifests.push(await readManifest(storage, request.repository, former.commit).catch(ignoreDamage))
  const named = new Map<string, StoredBlob>()
  for (const file of manifests.flatMap((manifest) => manifest?.files ?? [])) {
    const name = blobNameOf(file)
    if (name !== undefined) named.set(file.lfs?.sha256 ?? file.oid, storedBlob(name, file))
  }
  return named
}
