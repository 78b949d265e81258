import pMap from 'p-map'
import picomatch from 'picomatch'
import type { Repository, RevisionListing, TreeEntry } from '../hub/index.ts'
import type { ContentSource, Storage } from '../plugin/index.ts'
import { blobKey } from './layout.ts'
import { assertWritable, writeMarker } from './marker.ts'
import { ignoreDamage, readManifest, readRef, writeRef } from './metadata.ts'
import { writerOf } from './objects.ts'
import { type StoredBlob, storedBlob, storeFile } from './store-file.ts'
import { writeManifest } from './write-manifest.ts'

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
  /** Files whose content is there, and that no manifest names as far as was looked: a sweep may take it. */
  readonly unnamed: readonly TreeEntry[]
  /** Files that the globs leave out, or that the source lacks itself. */
  readonly leftOut: readonly TreeEntry[]
  /** The blob of every file whose content is known to be stored, by path. */
  readonly blobs: ReadonlyMap<string, StoredBlob>
}

export interface MirrorResult {
  readonly commit: string
  readonly files: number
  readonly downloadedFiles: number
  readonly downloadedBytes: number
  readonly bytes: number
}

interface PlanOptions {
  readonly signal: AbortSignal
  /** Keys of objects that are known to be wrong, and count as missing. */
  readonly distrusted?: ReadonlySet<string>
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
  options: PlanOptions,
): Promise<MirrorPlan> {
  const listedAt = new Date()
  const listing = await source.describe(request.repository, request.revision, options)
  const isChosen = chooser(request)
  const known = await knownBlobs(storage, request, listing)
  const blobs = new Map<string, StoredBlob>()
  await pMap(
    listing.files,
    async (file) => {
      const sha256 = file.lfs?.oid ?? known.get(file.oid)
      if (sha256 === undefined || options.distrusted?.has(blobKey(sha256)) === true) return
      const found = await storage.stat(blobKey(sha256), options)
      if (found?.size === file.size) blobs.set(file.path, storedBlob(sha256, found))
    },
    { concurrency: 32 },
  )
  const fates = Object.groupBy(listing.files, ({ path }) => {
    if (!isChosen(path)) return 'leftOut'
    if (blobs.has(path)) return 'present'
    return listing.absent?.has(path) === true ? 'leftOut' : 'missing'
  })
  const { present = [], missing = [], leftOut = [] } = fates
  const named = new Set(known.values())
  const unnamed = listing.files.filter(({ path }) => {
    const blob = blobs.get(path)
    return blob !== undefined && !named.has(blob.sha256)
  })
  return { request, listedAt, listing, present, missing, unnamed, leftOut, blobs }
}

/** Carries a plan out: blobs first, then the manifest, then the ref. */
export async function carryOut(
  plan: MirrorPlan,
  source: RepositorySource,
  storage: Storage,
  options: MirrorOptions,
): Promise<MirrorResult> {
  const { request, listing } = plan
  await assertWritable(storage)
  await writeMarker(storage)
  options.progress.planned(plan)
  const blobs = new Map(plan.blobs)
  const gone = await touchUnnamed(plan, storage, blobs)
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const queue = [...plan.missing, ...gone].toSorted((a, b) => b.size - a.size)
  try {
    await pMap(
      queue,
      async (file) => {
        signal.throwIfAborted()
        options.progress.fileStarted(file)
        const onReceived = (bytes: number): void => options.progress.bytesReceived(file, bytes)
        const fetched = source.open(request.repository, listing.commit, file, { signal, onReceived })
        const content: ContentSource = (start) => {
          if (start > 0) options.progress.bytesResumed(file, start)
          return fetched(start)
        }
        blobs.set(file.path, await storeFile(storage, file, content, { signal }))
        options.progress.fileFinished(file)
      },
      { concurrency: options.concurrency },
    )
  } catch (error) {
    stop.abort(error) // the other files' downloads leave what they have for the next run
    throw error
  }
  const manifest = await writeManifest(storage, source.origin, request.repository, plan, blobs)
  if (listing.ref !== undefined) {
    const ref = { commit: listing.commit, kind: listing.ref.kind }
    await writeRef(storage, request.repository, listing.ref.name, ref, plan.listedAt)
  }
  const downloadedBytes = plan.missing.reduce((sum, file) => sum + file.size, 0)
  return {
    commit: listing.commit,
    files: manifest.files.filter((file) => file.blob !== null).length,
    downloadedFiles: plan.missing.length,
    downloadedBytes,
    bytes: manifest.files.reduce((sum, file) => sum + (file.blob === null ? 0 : file.size), 0),
  }
}

/**
 * Keeps what a sweep could take for an orphan until this run's manifest names it. What one has taken
 * since it was looked for comes back, to be fetched.
 */
async function touchUnnamed(
  { present, unnamed }: MirrorPlan,
  storage: Storage,
  blobs: Map<string, StoredBlob>,
): Promise<TreeEntry[]> {
  const gone = new Set<TreeEntry>()
  await pMap(
    unnamed,
    async (file) => {
      const blob = blobs.get(file.path)
      if (blob === undefined || (await writerOf(storage).touch(blobKey(blob.sha256)))) return
      blobs.delete(file.path)
      gone.add(file)
    },
    { concurrency: 32 },
  )
  return present.filter((file) => gone.has(file))
}

export function chooser(request: Pick<MirrorRequest, 'include' | 'exclude'>): (path: string) => boolean {
  // As in huggingface_hub, `*` crosses slashes: `*.json` chooses `a/b.json` as well.
  const matcher = (globs: readonly string[]) => globs.map((glob) => picomatch(glob, { bash: true, dot: true }))
  const include = matcher(request.include)
  const exclude = matcher(request.exclude)
  return (path) =>
    (include.length === 0 || include.some((matches) => matches(path))) && !exclude.some((matches) => matches(path))
}

/** Git blob id → SHA-256 of the stored content, from the manifest of this commit and the ref's former one. */
async function knownBlobs(
  storage: Storage,
  request: MirrorRequest,
  listing: RevisionListing,
): Promise<Map<string, string>> {
  const commits = new Set([listing.commit])
  const former = await readRef(storage, request.repository, listing.ref?.name ?? 'main').catch(ignoreDamage)
  if (former !== undefined) commits.add(former.commit)
  const known = new Map<string, string>()
  for (const commit of commits) {
    const manifest = await readManifest(storage, request.repository, commit).catch(ignoreDamage)
    for (const file of manifest?.files ?? []) if (file.blob !== null) known.set(file.oid, file.blob)
  }
  return known
}
