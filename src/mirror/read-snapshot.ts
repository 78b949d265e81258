import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { type PulledEntry, readEntries, withJournal } from './journal.ts'
import { journalPrefix, manifestKey } from './layout.ts'
import { readLegacySnapshot } from './legacy.ts'
import { parseManifest } from './manifest.ts'
import { visibleManifest } from './metadata.ts'
import { readText, stampOf } from './objects.ts'
import { ManifestSnapshot, type Snapshot } from './snapshot.ts'

/** A snapshot, and what tells whether it is still what is stored. */
export interface LoadedSnapshot {
  readonly snapshot: Snapshot
  /** The version of the manifest. */
  readonly stamp: string
  /** Present where files may be pulled for it. */
  readonly journal?: LoadedJournal
}

/** The journal of a snapshot's commit, as far as the snapshot has it. */
interface LoadedJournal {
  readonly snapshot: ManifestSnapshot
  readonly birth: string
  /** Names of the entries that it has. */
  readonly names: Set<string>
}

/** What tells one version of a manifest from another without reading it; the same for none as for one of the Python tool's. */
async function readStamp(storage: Storage, repository: Repository, commit: string): Promise<string> {
  return stampOf(await storage.stat(manifestKey(repository, commit)))
}

/** Reads a mirrored commit, of our layout or the Python tool's. */
export async function loadSnapshot(
  storage: Storage,
  repository: Repository,
  commit: string,
): Promise<LoadedSnapshot | undefined> {
  // Before it is read: one that is changed meanwhile is found changed at the next check.
  const stamp = await readStamp(storage, repository, commit)
  if (stamp === '') {
    const snapshot = await readLegacySnapshot(storage, repository, commit)
    return snapshot && { snapshot, stamp }
  }
  const names = await storage.children(journalPrefix(repository, commit))
  const entries = await readEntries(storage, repository, commit, names)
  const key = manifestKey(repository, commit)
  const text = await readText(storage, key)
  const manifest = text === undefined ? undefined : visibleManifest(parseManifest(key, text))
  if (text === undefined || manifest === undefined) return undefined
  const snapshot = new ManifestSnapshot(storage, withJournal(manifest, entries), text.length)
  const { birth } = manifest
  if (birth === undefined) return { snapshot, stamp }
  return { snapshot, stamp, journal: { snapshot, birth, names: namesOf(entries, birth) } }
}

/**
 * Brings a snapshot up to date with what has been pulled since, by reading the new entries only.
 * Resolves to whether that sufficed; if not, it is to be loaded anew.
 */
export async function refreshSnapshot({ snapshot, stamp, journal }: LoadedSnapshot): Promise<boolean> {
  const { storage, repository, commit } = snapshot
  if ((await readStamp(storage, repository, commit)) !== stamp) return false
  if (snapshot.complete) return true
  // The Python tool's layout has no one object that tells when a file came.
  if (stamp === '') return false
  if (journal === undefined) return true
  const listed = await storage.children(journalPrefix(repository, commit))
  const present = new Set(listed)
  for (const name of journal.names) if (!present.has(name)) return false // compacted or removed
  const added = listed.filter((name) => !journal.names.has(name))
  for (const entry of await readEntries(storage, repository, commit, added)) addEntry(journal, entry)
  return true
}

/** Adds what this process has pulled itself. */
export function addEntry(journal: LoadedJournal, { name, of, file }: PulledEntry): void {
  // One of another birth, or only claimed, may become one of this: it is read again.
  if (of !== journal.birth) return
  journal.names.add(name)
  journal.snapshot.add(file)
}

function namesOf(entries: readonly PulledEntry[], birth: string): Set<string> {
  return new Set(entries.filter(({ of }) => of === birth).map(({ name }) => name))
}
