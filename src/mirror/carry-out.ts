import pMap from 'p-map'
import { formatRepository } from '../hub/index.ts'
import type { ContentSource, Storage } from '../plugin/index.ts'
import { type AdoptedFile, adoptBlobs, nameOf } from './adopt.ts'
import { changeObject } from './change-object.ts'
import { compactJournal } from './compact-journal.ts'
import { blankManifest, withBlobs, withLatestInfo } from './compose-manifest.ts'
import { saidAt } from './dated-listing.ts'
import { takeFetchTurn } from './fetch-lease.ts'
import { manifestKey, refKey } from './layout.ts'
import { Lease } from './lease.ts'
import { type Manifest, parseRef, type StoredRef } from './manifest.ts'
import { ManifestClaim } from './manifest-claim.ts'
import { assertWritable, writeMarker } from './marker.ts'
import type { MirrorOptions, MirrorPlan, MirrorResult, RepositorySource } from './mirroring.ts'
import { RefClaim, storedWord, type Word } from './ref-claim.ts'
import { storedBlob, storeFile } from './store-file.ts'

/** Milliseconds that a run waits for another that fetches the same content: as long as one that renews no lease lives. */
const fetchPatience = 30 * 60_000

/**
 * Carries a plan out: the ref is claimed, then the manifest; blobs are stored; the manifest is
 * committed, then the ref. Once this resolves the commit is whole, and was so at the last step.
 * Rejects with a {@link ClaimLost} where the revision was removed meanwhile or the run taken for dead.
 */
export async function carryOut(
  plan: MirrorPlan,
  source: RepositorySource,
  storage: Storage,
  options: MirrorOptions,
): Promise<MirrorResult> {
  await assertWritable(storage)
  await writeMarker(storage)
  options.progress.planned(plan)
  const { request, listing } = plan
  const blank = blankManifest(source.origin, request.repository, plan)
  if (plan.recorded !== undefined && (await isAlreadyDone(plan, plan.recorded, blank, storage, options.signal)))
    return resultOf(plan, plan.recorded, 0, 0)
  await using lease = await Lease.begin(
    storage,
    'mirror',
    `mirror ${formatRepository(request.repository)}@${request.revision}`,
  )
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, lease.signal, stop.signal])
  const ref =
    listing.ref &&
    new RefClaim({
      storage,
      lease,
      signal,
      key: refKey(request.repository, listing.ref.name),
      kind: listing.ref.kind,
      commit: listing.commit,
    })
  await ref?.claim()
  const key = manifestKey(request.repository, listing.commit)
  const claim = new ManifestClaim({ storage, lease, signal, kind: 'mirror', key, blank })
  const files = adoptedFiles(plan)
  let downloaded = 0
  let bytes = 0
  const store = async (missing: readonly AdoptedFile[]): Promise<void> => {
    await pMap(
      missing.toSorted((a, b) => b.file.size - a.file.size),
      async (adopted) => {
        signal.throwIfAborted()
        const { file, blob } = adopted
        options.progress.fileStarted(file)
        const onReceived = (received: number): void => options.progress.bytesReceived(file, received)
        const fetched = source.open(request.repository, listing.commit, file, { signal, onReceived })
        const content: ContentSource = (start) => {
          if (start > 0) options.progress.bytesResumed(file, start)
          return fetched(start)
        }
        const nameFor = (sha256: string) => (blob === undefined ? plan.log.nameFor(sha256) : nameOf(blob))
        await using turn =
          blob &&
          (await takeFetchTurn({
            storage,
            lease,
            name: nameOf(blob),
            size: file.size,
            patience: fetchPatience,
            signal,
          }))
        adopted.blob = await storeFile(storage, file, content, { signal, nameFor })
        adopted.isStored = true
        if (turn?.isStored !== true) {
          downloaded++
          bytes += file.size
        }
        options.progress.fileFinished(file)
      },
      { concurrency: options.concurrency },
    )
  }
  try {
    await adoptBlobs({ storage, log: plan.log, run: lease.id, claim, files, store, signal })
  } catch (error) {
    stop.abort(error) // the other files' downloads leave what they have for the next run
    await Promise.allSettled([claim.release(), ref?.release()])
    throw lease.signal.aborted ? lease.signal.reason : error
  }
  const blobs = new Map(files.flatMap(({ file, blob }) => (blob === undefined ? [] : [[file.path, blob] as const])))
  const manifest = await claim.commit((current) => withBlobs(current, blank, listing, blobs))
  await ref?.commit(wordOf(plan), async () => {
    const listedAt = new Date()
    const again = await source.describe(request.repository, request.revision, { signal })
    return { commit: again.commit, saidAt: saidAt({ listing: again, listedAt }) }
  })
  // What was pulled before stands in the manifest now. Only tidy: if it fails, a sweep does it.
  const compaction = { storage, lease, log: plan.log, above: 0, signal }
  await compactJournal(request.repository, listing.commit, compaction).catch(() => undefined)
  return resultOf(plan, manifest, downloaded, bytes)
}

/** Whether the commit is whole, nothing new is said of it, and its ref there: then only the ref's word is brought up to date. */
async function isAlreadyDone(
  plan: MirrorPlan,
  recorded: Manifest,
  blank: Manifest,
  storage: Storage,
  signal: AbortSignal,
): Promise<boolean> {
  const { listing, missing, present, request } = plan
  const stored = new Set(recorded.files.filter(({ blob }) => blob !== null).map(({ path }) => path))
  if (missing.length > 0 || !present.every(({ path }) => stored.has(path))) return false
  if (withLatestInfo(recorded, blank) !== recorded) return false
  if (listing.ref === undefined) return true
  const word = wordOf(plan)
  let isThere = false
  await changeObject<StoredRef>({
    storage,
    signal,
    run: 'mirror',
    key: refKey(request.repository, listing.ref.name),
    parse: parseRef,
    decide: (current) => {
      isThere = current?.commit === word.commit && current.pulled !== true
      if (current === undefined || !isThere || word.saidAt <= storedWord(current)) return 'keep'
      return { write: { ...current, saidAt: word.saidAt.toISOString(), updatedAt: undefined } }
    },
  })
  return isThere
}

function wordOf(plan: MirrorPlan): Word {
  return { commit: plan.listing.commit, saidAt: saidAt(plan) }
}

function adoptedFiles({ present, missing, blobs, log }: MirrorPlan): AdoptedFile[] {
  return [
    ...present.map((file): AdoptedFile => ({ file, blob: blobs.get(file.path), isStored: true })),
    ...missing.map(
      (file): AdoptedFile => ({ file, blob: file.lfs && storedBlob(log.nameFor(file.lfs.oid)), isStored: false }),
    ),
  ]
}

function resultOf(
  plan: MirrorPlan,
  manifest: Manifest,
  downloadedFiles: number,
  downloadedBytes: number,
): MirrorResult {
  const stored = manifest.files.filter((file) => file.blob !== null)
  return {
    commit: plan.listing.commit,
    files: stored.length,
    downloadedFiles,
    downloadedBytes,
    bytes: stored.reduce((sum, file) => sum + file.size, 0),
  }
}
