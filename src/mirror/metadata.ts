import pMap from 'p-map'
import type { Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { manifestKey, refKey, refsPrefix } from './layout.ts'
import { isDamage, type Manifest, parseManifest, parseRef, type Ref } from './manifest.ts'
import { readText, writeJson, writerOf } from './objects.ts'

/** A commit's manifest; `undefined` where it is not mirrored. Rejects where it is damaged. */
export async function readManifest(
  storage: Storage,
  repository: Repository,
  commit: string,
  options: OperationOptions = {},
): Promise<Manifest | undefined> {
  const key = manifestKey(repository, commit)
  const text = await readText(storage, key, options)
  return text === undefined ? undefined : parseManifest(key, text)
}

/** Where a branch or tag is; `undefined` where it is not mirrored. Rejects where it is damaged. */
export async function readRef(
  storage: Storage,
  repository: Repository,
  name: string,
  options: OperationOptions = {},
): Promise<Ref | undefined> {
  const key = refKey(repository, name)
  const text = await readText(storage, key, options)
  return text === undefined ? undefined : parseRef(key, text)
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

/**
 * Moves a ref to where the source said, at the time `at`, that it is. It is left where it is if it is
 * there already, or if a run at the same time has had a later word.
 */
export async function writeRef(
  storage: Storage,
  repository: Repository,
  name: string,
  ref: Omit<Ref, 'updatedAt'>,
  at: Date,
): Promise<void> {
  const former = await readRef(storage, repository, name).catch(ignoreDamage)
  if (former?.commit === ref.commit && former.pulled === ref.pulled) return
  if (former !== undefined && former.pulled === ref.pulled) {
    const saidAt = new Date(former.updatedAt)
    // A time to come is that of a clock gone wrong, and must not hold the ref for ever.
    if (at < saidAt && saidAt <= new Date()) return
  }
  await writeJson(writerOf(storage), refKey(repository, name), { ...ref, updatedAt: at.toISOString() })
}

/** For whoever writes a sound one next: a damaged manifest or ref knows nothing. */
export function ignoreDamage(error: unknown): undefined {
  if (isDamage(error)) return undefined
  throw error
}
