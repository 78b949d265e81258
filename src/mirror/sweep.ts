import type { ObjectStat, OperationOptions, Storage } from '../plugin/index.ts'
import { type CompactionOptions, compactJournal } from './compact-journal.ts'
import { CondemnedBlobs } from './condemned-blobs.ts'
import { DeletionLog } from './deletion-log.ts'
import { Judge } from './judge.ts'
import { blobsPrefix, parseBlobKey } from './layout.ts'
import { Lease } from './lease.ts'
import { writeMarker } from './marker.ts'
import { type Journal, NamedBlobs } from './named-blobs.ts'
import { writerOf } from './objects.ts'

export interface SweepOptions extends OperationOptions {
  /** Say what would go, and remove nothing. */
  readonly dryRun: boolean
  /** Milliseconds: what is younger may belong to a mirror run that has not claimed it yet. */
  readonly grace: number
  /** Journals with more entries are compacted. */
  readonly compactAbove?: number
}

export interface Swept {
  readonly blobs: number
  /** Bytes freed, or that would be, unfinished writes included. */
  readonly bytes: number
  /** Orphans that are too young to go, or about to be used. */
  readonly spared: number
}

/**
 * Collects blobs that nobody needs. Nothing is deleted but by a published entry of the deletion log:
 * 1. every blob is listed, 2. then every manifest is read, with the claims on it;
 * 3. what neither names, and is old enough, is a candidate;
 * 4. the candidates are published, 5. and after that the manifests are read again: a run that has
 *    claimed a blob meanwhile is seen, and one that claims it later sees the entry and vetoes it;
 * 6. the entry becomes final, less what was claimed or vetoed; 7. what is left is deleted.
 * Then journals of pulled files that have grown long are moved into their manifests.
 */
export async function sweepStorage(storage: Storage, options: SweepOptions): Promise<Swept> {
  if (!options.dryRun) await writeMarker(storage)
  const { dryRun, grace, compactAbove = 200, ...operation } = options
  await using lease = await Lease.begin(storage, 'sweep', 'sweep')
  const judge = new Judge(storage, lease)
  const condemned = new CondemnedBlobs(storage, lease, judge)
  if (!dryRun) await condemned.finishOthers(operation)
  const blobs: ObjectStat[] = []
  for await (const object of storage.list(blobsPrefix, operation))
    if (parseBlobKey(object.key) !== undefined) blobs.push(object)
  const named = new NamedBlobs(storage, lease, judge)
  await named.gather(operation)
  const orphans = blobs.filter(({ key }) => !named.names.has(parseBlobKey(key) ?? ''))
  const before = await oldEnough(lease, judge, { grace, ...operation })
  const candidates = orphans.filter(({ updatedAt }) => updatedAt < before)
  const gone = dryRun ? candidates : await condemn(condemned, named, candidates, operation)
  const unfinished = await writerOf(storage).discardUnfinished(before, options)
  if (!dryRun) await compactJournals(named.journals, { storage, lease, above: compactAbove, ...operation })
  return {
    blobs: gone.length,
    bytes: gone.reduce((sum, { size }) => sum + size, 0) + unfinished,
    spared: orphans.length - gone.length,
  }
}

async function condemn(
  condemned: CondemnedBlobs,
  named: NamedBlobs,
  candidates: readonly ObjectStat[],
  options: OperationOptions,
): Promise<ObjectStat[]> {
  if (candidates.length === 0) return []
  await condemned.publish(
    candidates.map(({ key }) => parseBlobKey(key) ?? ''),
    options,
  )
  await named.gather(options)
  const gone = await condemned.finish(named.names, options)
  return candidates.filter(({ key }) => gone.has(parseBlobKey(key) ?? ''))
}

async function compactJournals(journals: readonly Journal[], options: Omit<CompactionOptions, 'log'>): Promise<void> {
  const log = new DeletionLog(options.storage)
  await log.read(options)
  for (const { repository, commit, entries } of journals)
    if (entries > options.above) await compactJournal(repository, commit, { ...options, log })
}

/**
 * Only a hint: content is uploaded before it is claimed where its hash is not known before, so what
 * is younger than the grace period, or than the oldest run under way, had better stay.
 */
async function oldEnough(
  lease: Lease,
  judge: Judge,
  { grace, ...options }: Pick<SweepOptions, 'grace' | 'signal'>,
): Promise<Date> {
  const graceful = new Date(lease.renewedAt.getTime() - grace)
  const oldest = await judge.oldestBeginning(options)
  return oldest < graceful ? oldest : graceful
}
