import pMap from 'p-map'
import { describeError, formatRepository, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { isVisible, withJournal } from './journal.ts'
import { type JournalEntry, parseJournalEntry } from './journal-entry.ts'
import { manifestKey, markerKey, parseRepositoryKey, repositoriesPrefix, repositoryPrefix } from './layout.ts'
import {
  isDamage,
  MalformedObject,
  type Manifest,
  parseManifest,
  parseMarker,
  parseRef,
  UnknownLayout,
} from './manifest.ts'
import { visibleManifest } from './metadata.ts'
import { listObjects, readText } from './objects.ts'
import type { Problem, ProblemKind } from './problem.ts'

/** Objects looked at at a time: on a bucket the time is in the round trips. */
export const readsAtATime = 32

/** What lies below `repositories/`, as far as it is sound. */
export interface Metadata {
  /** Names, those of damaged manifests too. */
  readonly repositories: ReadonlySet<string>
  /** Sorted, so that the same storage gives the same report. */
  readonly manifests: readonly Manifest[]
  readonly refs: number
}

interface FoundRef {
  readonly key: string
  readonly repository: Repository
  readonly name: string
}

export async function checkMarker(storage: Storage, problems: Problem[], options: OperationOptions): Promise<void> {
  const text = await readText(storage, markerKey, options)
  if (text === undefined) return
  try {
    parseMarker(markerKey, text)
  } catch (error) {
    if (!(error instanceof MalformedObject)) throw error // of a layout to come: nothing here can be judged
    problems.push({ kind: 'damaged marker', key: markerKey, found: describeError(error) })
  }
}

/** Reads manifests, of these repositories or all, and then the refs that point to them. */
export async function checkMetadata(
  storage: Storage,
  chosen: readonly Repository[] | undefined,
  problems: Problem[],
  options: OperationOptions,
): Promise<Metadata> {
  const names = new Set<string>()
  const manifests = new Map<string, Manifest>()
  const journals = new Map<string, JournalEntry[]>()
  const entriesOf = (key: string): JournalEntry[] => {
    const entries = journals.get(key) ?? []
    journals.set(key, entries)
    return entries
  }
  const refs: FoundRef[] = []
  for (const prefix of chosen?.map(repositoryPrefix) ?? [repositoriesPrefix]) {
    await pMap(
      await listObjects(storage, prefix, options),
      async ({ key }) => {
        const parsed = parseRepositoryKey(key)
        if (parsed === undefined) {
          problems.push({ kind: 'unknown object', key })
          return
        }
        names.add(formatRepository(parsed.repository))
        if (parsed.kind === 'ref') refs.push({ key, repository: parsed.repository, name: parsed.ref })
        else if (parsed.kind === 'pulled') {
          const entry = await checkEntry(storage, key, parsed, problems, options)
          if (entry !== undefined) entriesOf(manifestKey(parsed.repository, parsed.commit)).push(entry)
        } else {
          const manifest = await checkManifest(storage, key, parsed, problems, options)
          if (manifest !== undefined) manifests.set(key, manifest)
        }
      },
      { concurrency: readsAtATime },
    )
  }
  // A manifest that is damaged is reported as that, and not once more for each ref.
  const known = new Set([...manifests.keys(), ...problems.map(({ key }) => key)])
  await pMap(refs, (ref) => checkRef(storage, ref, known, problems, options), { concurrency: readsAtATime })
  const pulledFor = (key: string) => journals.get(key)?.map(({ of, files: [file] }) => ({ of, file })) ?? []
  const sorted = [...manifests]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([key, manifest]) => withJournal(manifest, pulledFor(key)))
  return { repositories: names, manifests: sorted, refs: refs.length }
}

async function checkManifest(
  storage: Storage,
  key: string,
  expected: { readonly repository: Repository; readonly commit: string },
  problems: Problem[],
  options: OperationOptions,
): Promise<Manifest | undefined> {
  const about = { key, repository: formatRepository(expected.repository), commit: expected.commit }
  try {
    const text = await readText(storage, key, options)
    if (text === undefined) return undefined // removed since it was listed
    const manifest = visibleManifest(parseManifest(key, text))
    if (manifest === undefined) return undefined
    if (manifestKey(manifest.repository, manifest.commit) === key) return manifest
    problems.push({
      kind: 'damaged manifest',
      ...about,
      expected: `${about.repository}@${expected.commit}`,
      found: `${formatRepository(manifest.repository)}@${manifest.commit}`,
    })
  } catch (error) {
    if (!isDamage(error)) throw error
    problems.push({ kind: kindOf(error, 'damaged manifest'), ...about, found: describeError(error) })
  }
  return undefined
}

async function checkEntry(
  storage: Storage,
  key: string,
  { repository, commit }: { readonly repository: Repository; readonly commit: string },
  problems: Problem[],
  options: OperationOptions,
): Promise<JournalEntry | undefined> {
  try {
    const text = await readText(storage, key, options)
    if (text === undefined) return undefined // removed or compacted since it was listed
    const entry = parseJournalEntry(key, text)
    return isVisible(entry) ? entry : undefined
  } catch (error) {
    if (!isDamage(error)) throw error
    const about = { key, repository: formatRepository(repository), commit }
    problems.push({ kind: kindOf(error, 'damaged journal entry'), ...about, found: describeError(error) })
    return undefined
  }
}

async function checkRef(
  storage: Storage,
  { key, repository, name }: FoundRef,
  knownManifests: ReadonlySet<string>,
  problems: Problem[],
  options: OperationOptions,
): Promise<void> {
  const about = { key, repository: formatRepository(repository), path: name }
  try {
    const text = await readText(storage, key, options)
    const commit = text === undefined ? null : parseRef(key, text).commit
    if (commit === null) return // removed since it was listed, or only claimed
    if (!knownManifests.has(manifestKey(repository, commit))) {
      problems.push({ kind: 'dangling ref', ...about, expected: `a manifest of ${commit}`, found: 'none' })
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    problems.push({ kind: kindOf(error, 'damaged ref'), ...about, found: describeError(error) })
  }
}

function kindOf(error: Error, damage: ProblemKind): ProblemKind {
  return error instanceof UnknownLayout ? 'unknown layout' : damage
}
