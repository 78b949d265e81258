import pMap from 'p-map'
import type { Repository } from '../hub/index.ts'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { ClaimLost } from './claim-lost.ts'
import type { DeletionLog } from './deletion-log.ts'
import { isVisible, withPulled } from './journal.ts'
import { type JournalEntry, parseJournalEntry } from './journal-entry.ts'
import { journalPrefix, manifestKey } from './layout.ts'
import type { Lease } from './lease.ts'
import { blobNameOf, isDamage, type Manifest, type ManifestFile, parseManifest } from './manifest.ts'
import { ManifestClaim } from './manifest-claim.ts'
import { listObjects, readText, writerOf } from './objects.ts'

/** Objects read or removed at a time. */
const atATime = 16

export interface CompactionOptions extends OperationOptions {
  readonly storage: Storage
  readonly lease: Lease
  /** Read before anything was looked at. */
  readonly log: DeletionLog
  /** A journal of no more entries is left as it is: each compaction writes the whole manifest. */
  readonly above: number
}

interface ListedEntry {
  readonly key: string
  readonly generation: string
  readonly entry: JournalEntry
}

/**
 * Moves what was pulled of a commit into its manifest, and then removes the entries. The names are
 * adopted there like any others: claimed, the log read, committed; every write demands the manifest of
 * the same birth. They are not looked for: they are named all the while, first by the entry, then by
 * the claim. Resolves to how many entries were removed.
 */
export async function compactJournal(
  repository: Repository,
  commit: string,
  { storage, lease, log, above, ...options }: CompactionOptions,
): Promise<number> {
  const listed = await listObjects(storage, journalPrefix(repository, commit), options)
  if (listed.length <= above) return 0
  const keys = listed.map(({ key }) => key)
  const entries = (await pMap(keys, (key) => loadEntry(storage, key, options), { concurrency: atATime })).flat()
  const key = manifestKey(repository, commit)
  const manifest = await readOpenManifest(storage, key, options)
  if (manifest?.birth === undefined) return 0
  const { birth } = manifest
  const settled = entries.filter(({ entry }) => isVisible(entry) && entry.of === birth && entry.claims === undefined)
  const pulled = new Map(settled.map(({ entry: { files } }) => [files[0].path, files[0]]))
  const claim = new ManifestClaim({ ...options, storage, lease, kind: 'compact', key, blank: manifest, birth })
  let { files } = manifest
  try {
    if (files.some((file) => withPulled(file, pulled.get(file.path)) !== file))
      ({ files } = await moveInto(claim, pulled, { log, run: lease.id, options }))
  } catch (error) {
    if (error instanceof ClaimLost) return 0 // removed meanwhile, entries and all
    await claim.release().catch(() => undefined)
    throw error
  }
  const named = new Set(files.filter(({ blob }) => blob !== null).map(({ path }) => path))
  const moved = settled.filter(({ entry }) => named.has(entry.files[0].path))
  const remove = (one: ListedEntry) => removeEntry(storage, one, options)
  return (await pMap(moved, remove, { concurrency: atATime })).filter(Boolean).length
}

interface Move {
  readonly log: DeletionLog
  readonly run: string
  readonly options: OperationOptions
}

async function moveInto(
  claim: ManifestClaim,
  pulled: Map<string, ManifestFile>,
  { log, run, options }: Move,
): Promise<Manifest> {
  const names = new Set([...pulled.values()].flatMap((file) => blobNameOf(file) ?? []))
  await claim.claim(names)
  const condemned = await log.check(run, names, options)
  const isCondemned = (file: ManifestFile): boolean => condemned.has(blobNameOf(file) ?? '')
  for (const [path, file] of pulled) if (isCondemned(file)) pulled.delete(path)
  return await claim.commit((current) => ({
    ...current,
    files: current.files.map((file) => withPulled(file, pulled.get(file.path))),
  }))
}

async function readOpenManifest(
  storage: Storage,
  key: string,
  options: OperationOptions,
): Promise<Manifest | undefined> {
  const text = await readText(storage, key, options)
  const manifest = text === undefined ? undefined : parseManifest(key, text)
  return manifest?.pending === true ? undefined : manifest
}

/** A damaged entry is `verify`'s to report, and no reason to leave the others. */
async function loadEntry(storage: Storage, key: string, options: OperationOptions): Promise<ListedEntry[]> {
  const found = await writerOf(storage).load(key, options)
  if (found === undefined) return []
  try {
    return [{ key, generation: found.generation, entry: parseJournalEntry(key, found.bytes.toString()) }]
  } catch (error) {
    if (isDamage(error)) return []
    throw error
  }
}

/** Resolves to whether it is gone; one that has changed since it was read is left for the next time. */
async function removeEntry(
  storage: Storage,
  { key, generation }: ListedEntry,
  options: OperationOptions,
): Promise<boolean> {
  try {
    await writerOf(storage).remove(key, { ...options, ifGeneration: generation })
    return true
  } catch (error) {
    if (error instanceof Conflict) return false
    throw error
  }
}
