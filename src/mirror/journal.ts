import pMap from 'p-map'
import type { Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { type JournalEntry, parseJournalEntry } from './journal-entry.ts'
import { journalPrefix } from './layout.ts'
import { isDamage, type Manifest, type ManifestFile } from './manifest.ts'
import { readText } from './objects.ts'

/** Entries read at a time: on a bucket the time is in the round trips. */
const readsAtATime = 32

/** A journal entry as readers see it. */
export interface PulledEntry {
  /** The name of its object below the commit's prefix. */
  readonly name: string
  /** The birth of the manifest to which it belongs. */
  readonly of: string
  readonly file: ManifestFile
}

/**
 * Those of a commit's journal entries that readers see. To be listed and read before the manifest: an
 * entry that is gone by then stands in the manifest. A damaged one is `verify`'s to report: the file
 * counts as not pulled.
 */
export async function readEntries(
  storage: Storage,
  repository: Repository,
  commit: string,
  names: readonly string[],
  options: OperationOptions = {},
): Promise<PulledEntry[]> {
  const prefix = journalPrefix(repository, commit)
  const read = async (name: string): Promise<PulledEntry[]> => {
    const key = `${prefix}/${name}`
    const text = await readText(storage, key, options)
    if (text === undefined) return [] // compacted or removed since it was listed
    try {
      const entry = parseJournalEntry(key, text)
      return isVisible(entry) ? [{ name, of: entry.of, file: entry.files[0] }] : []
    } catch (error) {
      if (!isDamage(error)) throw error
      return []
    }
  }
  return (await pMap(names, read, { concurrency: readsAtATime })).flat()
}

export function isVisible({ pending }: JournalEntry): boolean {
  return pending !== true
}

/** The manifest with the files that were pulled for it. */
export function withJournal(manifest: Manifest, entries: readonly Pick<PulledEntry, 'of' | 'file'>[]): Manifest {
  const pulled = new Map(entries.filter(({ of }) => of === manifest.birth).map(({ file }) => [file.path, file]))
  if (pulled.size === 0) return manifest
  return { ...manifest, files: manifest.files.map((file) => withPulled(file, pulled.get(file.path))) }
}

/** The file as it was pulled, unless the manifest itself names its content. */
export function withPulled(file: ManifestFile, pulled: ManifestFile | undefined): ManifestFile {
  if (file.blob !== null || pulled === undefined || pulled.oid !== file.oid) return file
  const { blob, copy, crc32c } = pulled
  return { ...file, blob, pulled: true, ...(copy !== undefined && { copy }), ...(crc32c !== undefined && { crc32c }) }
}
