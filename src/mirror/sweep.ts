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
  /** Orphans that are too young to go. */
  readonly spared: number
}

/**
 * Collects blobs that nobody needs:
 * 1. note the time, and list every blob;
 * 2. then read every manifest, so that one written meanwhile counts; one that can't be read stops the
 *    sweep, for its blobs would look like orphans;
 * 3. a blob that no manifest names, and that is older than the grace period, goes;
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
  const old = orphans.filter(({ updatedAt }) => updatedAt < before)
  if (!options.dryRun) for (const { key } of old) await writer.remove(key, options)
  const unfinished = await writer.discardUnfinished(before, options)
  return {
    blobs: old.length,
    bytes: old.reduce((sum, { size }) => sum + size, 0) + unfinished,
    spared: orphans.length - old.length,
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
