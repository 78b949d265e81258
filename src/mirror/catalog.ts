import pMap from 'p-map'
import { formatRepository, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { parseRepositoryKey, type RepositoryObject, repositoriesPrefix } from './layout.ts'
import { blobNameOf, isDamage, type Manifest, type Ref } from './manifest.ts'
import { readManifest, readRef } from './metadata.ts'
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
}

/** Objects read at a time: on a bucket the time is in the round trips. */
const concurrency = 32

/**
 * Every repository in a storage; reads manifests and refs, and no blob. The keys come from one flat
 * listing, a thousand objects a page, where listing each folder would be a request for each.
 */
export async function readCatalog(storage: Storage, options: OperationOptions = {}): Promise<Catalog> {
  const found = new Map<string, FoundRepository>()
  await pMap(
    await listObjects(storage, repositoriesPrefix, options),
    async ({ key }) => {
      const object = parseRepositoryKey(key)
      if (object === undefined) return // `verify` tells of it
      const name = formatRepository(object.repository)
      const entry = found.get(name) ?? newEntry(object.repository)
      found.set(name, entry)
      await readInto(entry, storage, object, options)
    },
    { concurrency },
  )
  // A repository with nothing but claims is not mirrored yet.
  const repositories = [...found.entries()]
    .filter(([, { manifests, refs, problems }]) => manifests.length + refs.size + problems.length > 0)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([, entry]) => describe(entry))
  return catalogOf(repositories)
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
  return { repository, manifests: [], refs: new Map(), problems: [] }
}

async function readInto(
  entry: FoundRepository,
  storage: Storage,
  object: RepositoryObject,
  options: OperationOptions,
): Promise<void> {
  try {
    if (object.kind === 'ref') {
      const ref = await readRef(storage, object.repository, object.ref, options)
      if (ref !== undefined) entry.refs.set(object.ref, ref)
    } else {
      const manifest = await readManifest(storage, object.repository, object.commit, options)
      if (manifest !== undefined) entry.manifests.push(manifest)
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    entry.problems.push(error.message)
  }
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
