import { basename, dirname } from 'node:path/posix'
import pMap from 'p-map'
import { formatRepository, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { journalPrefix, parseRepositoryKey, type RepositoryObject, repositoriesPrefix } from './layout.ts'
import { blobNameOf, isDamage, type Manifest, type Ref } from './manifest.ts'
import { readManifestWith, readRef } from './metadata.ts'
import { listObjects } from './objects.ts'

/** A mirrored commit, as a list shows it. Sizes are in bytes. */
export interface CatalogRevision {
  readonly commit: string
  readonly refs: readonly string[]
  /** Files stored. */
  readonly files: number
  /** Files that a filter left out. */
  readonly leftOut: number
  readonly bytes: number
  readonly mirroredAt: string
  readonly mirroredFrom: string
}

export interface CatalogRepository {
  readonly type: Repository['type']
  readonly id: string
  readonly revisions: readonly CatalogRevision[]
  /** Blobs that its revisions share are counted once. */
  readonly bytes: number
  readonly manifests: readonly Manifest[]
  /** What could not be read, for `verify` to look into. */
  readonly problems: readonly string[]
}

export interface Catalog {
  readonly repositories: readonly CatalogRepository[]
  /** Blobs that repositories share are counted once. */
  readonly bytes: number
}

/** What is known of one repository after reading everything under its prefix. */
interface FoundRepository {
  readonly repository: Repository
  readonly manifests: Manifest[]
  readonly refs: Map<string, Ref>
  readonly problems: string[]
  /** Revisions of which nothing is stored: a pull has begun, and has not ended well. */
  shells: number
}

/** Objects read at a time: on a bucket the time is in the round trips. */
const concurrency = 32

/**
 * Every repository in a storage; reads manifests and refs, and no blob. The keys come from one flat
 * listing, a thousand objects a page, where listing each folder would be a request for each.
 */
export async function readCatalog(storage: Storage, options: OperationOptions = {}): Promise<Catalog> {
  const found = new Map<string, FoundRepository>()
  const objects = (await listObjects(storage, repositoriesPrefix, options)).flatMap(({ key }) => {
    const object = parseRepositoryKey(key)
    return object === undefined ? [] : [{ key, object }] // `verify` tells of what is neither
  })
  const journals = Map.groupBy(
    objects.filter(({ object }) => object.kind === 'pulled'),
    ({ key }) => dirname(key),
  )
  const namesOf = (repository: Repository, commit: string): string[] =>
    journals.get(journalPrefix(repository, commit))?.map(({ key }) => basename(key)) ?? []
  await pMap(
    objects,
    async ({ object }) => {
      if (object.kind === 'pulled') return // with its manifest
      const name = formatRepository(object.repository)
      const entry = found.get(name) ?? newEntry(object.repository)
      found.set(name, entry)
      const entries = object.kind === 'manifest' ? namesOf(object.repository, object.commit) : []
      await readInto(entry, storage, object, entries, options)
    },
    { concurrency },
  )
  const repositories = [...found.entries()]
    .filter(([, repository]) => isMirrored(repository))
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([, entry]) => describe(entry))
  return catalogOf(repositories)
}

/** A repository with nothing but claims, or pulls that have stored nothing, is not mirrored yet. */
function isMirrored({ manifests, refs, problems, shells }: FoundRepository): boolean {
  return manifests.length + problems.length > 0 || (refs.size > 0 && shells === 0)
}

function catalogOf(repositories: readonly CatalogRepository[]): Catalog {
  return { repositories, bytes: distinctBytes(repositories.flatMap(({ manifests }) => manifests)) }
}

/** Repositories asked about at a time: it may be the Hub that says whether they are shown. */
const concurrentQuestions = 8

/** The catalog as if what is not shown were not stored: neither its name nor its size is told. */
export async function limitCatalog(
  catalog: Catalog,
  shows: (repository: Repository, commit?: string) => Promise<boolean>,
): Promise<Catalog> {
  const limited = await pMap(
    catalog.repositories,
    async (repository) => {
      if (!(await shows(repository))) return []
      const shown = new Set<string>()
      for (const { commit } of repository.manifests) if (await shows(repository, commit)) shown.add(commit)
      const manifests = repository.manifests.filter(({ commit }) => shown.has(commit))
      const revisions = repository.revisions.filter(({ commit }) => shown.has(commit))
      return [{ ...repository, manifests, revisions, bytes: distinctBytes(manifests) }]
    },
    { concurrency: concurrentQuestions },
  )
  return catalogOf(limited.flat())
}

function newEntry(repository: Repository): FoundRepository {
  return { repository, manifests: [], refs: new Map(), problems: [], shells: 0 }
}

async function readInto(
  entry: FoundRepository,
  storage: Storage,
  object: Exclude<RepositoryObject, { kind: 'pulled' }>,
  journal: readonly string[],
  options: OperationOptions,
): Promise<void> {
  try {
    if (object.kind === 'ref') {
      const ref = await readRef(storage, object.repository, object.ref, options)
      if (ref !== undefined) entry.refs.set(object.ref, ref)
    } else {
      const manifest = await readManifestWith(storage, object.repository, object.commit, journal, options)
      if (manifest !== undefined && isShell(manifest)) entry.shells++
      else if (manifest !== undefined) entry.manifests.push(manifest)
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    entry.problems.push(error.message)
  }
}

function isShell({ pulled, files }: Manifest): boolean {
  return pulled === true && files.length > 0 && files.every(({ blob }) => blob === null)
}

function describe({ repository, manifests, refs, problems }: FoundRepository): CatalogRepository {
  return {
    type: repository.type,
    id: repository.id,
    revisions: manifests
      .map((manifest) => describeRevision(manifest, refs))
      .toSorted((a, b) => b.mirroredAt.localeCompare(a.mirroredAt)),
    bytes: distinctBytes(manifests),
    manifests,
    problems,
  }
}

function describeRevision(manifest: Manifest, refs: ReadonlyMap<string, Ref>): CatalogRevision {
  const stored = manifest.files.filter((file) => file.blob !== null)
  return {
    commit: manifest.commit,
    refs: [...refs]
      .filter(([, ref]) => ref.commit === manifest.commit)
      .map(([name]) => name)
      .toSorted(),
    files: stored.length,
    leftOut: manifest.files.length - stored.length,
    bytes: distinctBytes([manifest]),
    mirroredAt: manifest.mirroredAt,
    mirroredFrom: manifest.mirroredFrom,
  }
}

function distinctBytes(manifests: readonly Manifest[]): number {
  const sizes = new Map<string, number>()
  for (const { files } of manifests)
    for (const file of files) {
      const name = blobNameOf(file)
      if (name !== undefined) sizes.set(name, file.size)
    }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
