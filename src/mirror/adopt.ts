import pMap from 'p-map'
import type { TreeEntry } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import type { DeletionLog } from './deletion-log.ts'
import { blobKey, blobName } from './layout.ts'
import { type StoredBlob, storedBlob } from './store-file.ts'

/** A file whose content a manifest is to name. */
export interface AdoptedFile {
  readonly file: TreeEntry
  /** Absent as long as its SHA-256 is unknown. */
  blob: StoredBlob | undefined
  /** Whether the content is known to be there, under that name. */
  isStored: boolean
}

/** A run's claim on the object in which the names are to stand. */
export interface BlobClaim {
  /** Claims names in place of those claimed before; `superfluous`: another run has put there what this one would. */
  claim(names: ReadonlySet<string>): Promise<'claimed' | 'superfluous'>
}

export interface Adoption extends OperationOptions {
  readonly storage: Storage
  /** Read before anything was looked at. */
  readonly log: DeletionLog
  /** Who vetoes deletions. */
  readonly run: string
  readonly claim: BlobClaim
  readonly files: readonly AdoptedFile[]
  /** Fetches and stores the content of files that lack it, under names that the log has not condemned. */
  store(files: readonly AdoptedFile[]): Promise<void>
}

/**
 * Makes sure that every file's blob is there and will stay until the claim is committed or lost:
 * 1. the names are claimed;
 * 2. after that the log is read: a deletion that is still open is vetoed, and a name that is
 *    condemned is given up for a new one, which is claimed in turn;
 * 3. what is missing is stored. Contents whose names show only then are claimed in another round.
 *
 * Either a sweep sees the claim when it reads the manifests again after publishing its candidates,
 * or it had published them before the claim, and then this reads them.
 */
export async function adoptBlobs(adoption: Adoption): Promise<'claimed' | 'superfluous'> {
  const { log, run, claim, files, storage, signal } = adoption
  const options = signal === undefined ? {} : { signal }
  for (;;) {
    const names = new Set(files.flatMap(({ blob }) => (blob === undefined ? [] : [nameOf(blob)])))
    if ((await claim.claim(names)) === 'superfluous') return 'superfluous'
    const condemned = await log.check(run, names, options)
    for (const file of files) if (file.blob !== undefined && condemned.has(nameOf(file.blob))) rename(file, log)
    if (condemned.size > 0) continue
    // What an entry that was dropped unread has deleted is found out by looking.
    if (log.hasGap) await lookAgain(storage, files, options)
    const isComplete = files.every(({ blob }) => blob !== undefined)
    await adoption.store(files.filter(({ isStored }) => !isStored))
    if (isComplete) return 'claimed'
  }
}

export function nameOf({ sha256, copy }: StoredBlob): string {
  return blobName(sha256, copy)
}

function rename(file: AdoptedFile, log: DeletionLog): void {
  if (file.blob === undefined) return
  file.blob = storedBlob(log.nameFor(file.blob.sha256))
  file.isStored = false
}

async function lookAgain(storage: Storage, files: readonly AdoptedFile[], options: OperationOptions): Promise<void> {
  await pMap(
    files,
    async (adopted) => {
      if (!adopted.isStored || adopted.blob === undefined) return
      const found = await storage.stat(blobKey(nameOf(adopted.blob)), options)
      adopted.isStored = found?.size === adopted.file.size
    },
    { concurrency: 32 },
  )
}
