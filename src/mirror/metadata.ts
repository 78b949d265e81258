import pMap from 'p-map'
import type { Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { readEntries, withJournal } from './journal.ts'
import { journalPrefix, manifestKey, refKey, refsPrefix } from './layout.ts'
import { isDamage, type Manifest, parseManifest, parseRef, type Ref, type StoredRef } from './manifest.ts'
import { readText } from './objects.ts'

/**
 * A commit's manifest with the files that were pulled for it; `undefined` where it is not mirrored, or
 * only claimed. Rejects where it is damaged.
 */
export async function readManifest(
  storage: Storage,
  repository: Repository,
  commit: string,
  options: OperationOptions = {},
): Promise<Manifest | undefined> {
  const names = await storage.children(journalPrefix(repository, commit), options)
  return await readManifestWith(storage, repository, commit, names, options)
}

/** A commit's manifest with these entries of its journal, which were listed before. */
export async function readManifestWith(
  storage: Storage,
  repository: Repository,
  commit: string,
  entryNames: readonly string[],
  options: OperationOptions = {},
): Promise<Manifest | undefined> {
  const entries = await readEntries(storage, repository, commit, entryNames, options)
  const key = manifestKey(repository, commit)
  const text = await readText(storage, key, options)
  const manifest = text === undefined ? undefined : visibleManifest(parseManifest(key, text))
  return manifest && withJournal(manifest, entries)
}

/** Where a branch or tag is; `undefined` where it is not mirrored, or only claimed. Rejects where it is damaged. */
export async function readRef(
  storage: Storage,
  repository: Repository,
  name: string,
  options: OperationOptions = {},
): Promise<Ref | undefined> {
  const key = refKey(repository, name)
  const text = await readText(storage, key, options)
  return text === undefined ? undefined : visibleRef(parseRef(key, text))
}

/** All refs of a repository, by name. */
export async function readRefs(
  storage: Storage,
  repository: Repository,
  options: OperationOptions = {},
): Promise<Map<string, Ref>> {
  const names = (await storage.children(refsPrefix(repository), options)).map((name) =>
    decodeURIComponent(name.replace(/\.json$/, '')),
  )
  const refs = await pMap(names, async (name) => [name, await readRef(storage, repository, name, options)] as const, {
    concurrency: 16,
  })
  return new Map(refs.filter((entry): entry is readonly [string, Ref] => entry[1] !== undefined))
}

/** The manifest as readers see it. */
export function visibleManifest(manifest: Manifest): Manifest | undefined {
  return manifest.pending === true ? undefined : manifest
}

/** The ref as readers see it. */
export function visibleRef(ref: StoredRef): Ref | undefined {
  return ref.commit === null ? undefined : { ...ref, commit: ref.commit }
}

/** Damage reads as absence: for whoever is about to write a sound object in its place. */
export function ignoreDamage(error: unknown): undefined {
  if (isDamage(error)) return undefined
  throw error
}
