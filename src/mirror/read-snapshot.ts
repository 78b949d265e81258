import type { Repository } from '../hub/index.ts'
import type { Storage } from '../plugin/index.ts'
import { manifestKey } from './layout.ts'
import { readLegacySnapshot } from './legacy.ts'
import { parseManifest } from './manifest.ts'
import { readText } from './objects.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'

/** Tells a commit's manifest from one that takes its place; empty where there is none of our layout. */
export async function versionOf(storage: Storage, repository: Repository, commit: string): Promise<string> {
  const found = await storage.stat(manifestKey(repository, commit))
  return found === undefined ? '' : `${found.generation ?? ''} ${found.updatedAt.getTime()} ${found.size}`
}

/** Reads a mirrored commit, of our layout or the Python tool's. */
export async function readSnapshot(
  storage: Storage,
  repository: Repository,
  commit: string,
): Promise<Snapshot | undefined> {
  const key = manifestKey(repository, commit)
  const text = await readText(storage, key)
  if (text === undefined) return await readLegacySnapshot(storage, repository, commit)
  return snapshotOf(storage, parseManifest(key, text), text.length)
}
