import pMap from 'p-map'
import { formatRepository, parseRepositoryFolder, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { commitsPrefix, refsPrefix, repositoriesPrefix } from './layout.ts'
import { readRef } from './library.ts'
import type { Manifest, Ref } from './manifest.ts'
import { readManifest } from './mirroring.ts'

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

/** Every repository in a storage; reads manifests and refs, and no blob. */
export async function readCatalog(storage: Storage, options: OperationOptions = {}): Promise<Catalog> {
  const folders = await storage.children(repositoriesPrefix, options)
  const found = folders.map(parseRepositoryFolder).filter((repository) => repository !== undefined)
  const repositories = await pMap(found, (repository) => readRepository(storage, repository, options), {
    concurrency: 16,
  })
  const sorted = repositories.toSorted((a, b) => formatRepository(a).localeCompare(formatRepository(b)))
  return { repositories: sorted, bytes: distinctBytes(repositories.flatMap(({ manifests }) => manifests)) }
}

async function readRepository(
  storage: Storage,
  repository: Repository,
  options: OperationOptions,
): Promise<CatalogRepository> {
  const problems: string[] = []
  const noted = async <T>(read: Promise<T>): Promise<T | undefined> => {
    try {
      return await read
    } catch (error) {
      if (
        !(
          error instanceof Error &&
          'code' in error &&
          (error.code === 'MalformedObject' || error.code === 'UnknownLayout')
        )
      )
        throw error
      problems.push(error.message)
      return undefined
    }
  }
  const [commits, refs] = await Promise.all([
    storage.children(commitsPrefix(repository), options),
    readRefs(storage, repository, noted, options),
  ])
  const manifests = await pMap(
    commits,
    (name) => noted(readManifest(storage, repository, name.replace(/\.json$/, ''))),
    { concurrency: 16 },
  )
  const sound = manifests.filter((manifest) => manifest !== undefined)
  const revisions = sound
    .map((manifest) => describeRevision(manifest, refs))
    .toSorted((a, b) => b.mirroredAt.localeCompare(a.mirroredAt))
  return {
    type: repository.type,
    id: repository.id,
    revisions,
    bytes: distinctBytes(sound),
    manifests: sound,
    problems,
  }
}

/** All refs of a repository, by name. */
export async function readRefs(
  storage: Storage,
  repository: Repository,
  guard: <T>(read: Promise<T>) => Promise<T | undefined> = (read) => read,
  options: OperationOptions = {},
): Promise<Map<string, Ref>> {
  const names = (await storage.children(refsPrefix(repository), options)).map((name) =>
    decodeURIComponent(name.replace(/\.json$/, '')),
  )
  const refs = await pMap(names, async (name) => [name, await guard(readRef(storage, repository, name))] as const, {
    concurrency: 16,
  })
  return new Map(refs.filter((entry): entry is readonly [string, Ref] => entry[1] !== undefined))
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
  for (const { files } of manifests) for (const { blob, size } of files) if (blob !== null) sizes.set(blob, size)
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
