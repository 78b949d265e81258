import pMap, { pMapSkip } from 'p-map'
import { Failure } from '../hub/index.ts'
import type { ObjectStat, OperationOptions, Storage } from '../plugin/index.ts'
import { readCatalog } from './catalog.ts'
import { blobsPrefix, parseBlobKey } from './layout.ts'
import { writerOf } from './objects.ts'

export interface SweepOptions extends OperationOptions {
  /** Say what would go, and remove nothing. */
  readonly dryRun: boolean
  /** Milliseconds: what is younger may belong to a mirror run that has not written its manifest yet. */
  readonly grace: number
}

export interface Swept {
  readonly blobs: number
  /** Bytes freed, or that would be, unfinished writes included. */
  readonly bytes: number
  /** Orphans that are too young to go, or about to be used. */
  readonly spared: number
}

/**
 * Collects blobs that nobody needs:
 * 1. note the time, and list every blob;
 * 2. then read every manifest, so that one written meanwhile counts; one that can't be read stops the
 *    sweep, for its blobs would look like orphans;
 * 3. a blob that no manifest names, and that is older than the grace period, goes, unless a mirror run
 *    that is about to use it has touched it since;
 * 4. so do unfinished writes as old.
 */
export async function sweepStorage(storage: Storage, options: SweepOptions): Promise<Swept> {
  const writer = writerOf(storage)
  const before = new Date(Date.now() - options.grace)
  const blobs: ObjectStat[] = []
  for await (const object of storage.list(blobsPrefix, options))
    if (parseBlobKey(object.key) !== undefined) blobs.push(object)
  const needed = await neededBlobs(storage, options)
  const orphans = blobs.filter(({ key }) => !needed.has(parseBlobKey(key) ?? ''))
  const isOld = ({ updatedAt }: ObjectStat) => updatedAt < before
  const takeAway = async (orphan: ObjectStat): Promise<ObjectStat | typeof pMapSkip> => {
    if (!isOld(orphan)) return pMapSkip
    if (options.dryRun) return orphan
    const now = await storage.stat(orphan.key, options)
    if (now === undefined || !isOld(now)) return pMapSkip
    await writer.remove(orphan.key, options)
    return orphan
  }
  const gone = await pMap(orphans, takeAway, { concurrency: 16 })
  const unfinished = await writer.discardUnfinished(before, options)
  return {
    blobs: gone.length,
    bytes: gone.reduce((sum, { size }) => sum + size, 0) + unfinished,
    spared: orphans.length - gone.length,
  }
}

async function neededBlobs(storage: Storage, options: OperationOptions): Promise<Set<string>> {
  const catalog = await readCatalog(storage, options)
  const problem = catalog.repositories.flatMap(({ problems }) => problems)[0]
  if (problem !== undefined) {
    throw new Failure('DamagedStorage', 500, `nothing was swept: ${problem}; run mirrorface verify --repair first`)
  }
  const manifests = catalog.repositories.flatMap((repository) => repository.manifests)
  return new Set(manifests.flatMap(({ files }) => files.flatMap(({ blob }) => (blob === null ? [] : [blob]))))
}
