import pMap from 'p-map'
import { z } from 'zod'
import { foldersAbove, isCommit, isFilePath, type Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { MalformedObject } from './manifest.ts'
import { readText } from './objects.ts'
import type { Snapshot, SnapshotFile } from './snapshot.ts'

/**
 * The Python MirrorFace's layout, read as it is: `manifest/<user>--<repo>__<revision>.json` and
 * `blob/<sha512>`. It knew models only, and recorded neither sizes nor the Hub's ids; so sizes are
 * asked of the storage, and the SHA-512 serves as ETag.
 */
const legacySchema = z.object({
  manifest: z.discriminatedUnion('manifest_type', [
    z.object({
      manifest_type: z.literal('full'),
      revision_hash: z.string().refine(isCommit, 'expected a commit'),
      files: z.record(
        z.string().refine(isFilePath, 'not a path'),
        z.string().regex(/^[0-9a-f]{128}$/, 'expected a SHA-512'),
      ),
    }),
    z.object({
      manifest_type: z.literal('redirect'),
      revision_hash: z.string().refine(isCommit, 'expected a commit'),
    }),
  ]),
})
type LegacyManifest = z.infer<typeof legacySchema>['manifest']

export const legacyManifestPrefix = 'manifest'

function legacyManifestKey(repository: Repository, revision: string): string {
  return `${legacyManifestPrefix}/${repository.id.replace('/', '--')}__${encodeURIComponent(revision)}.json`
}

export function legacyBlobKey(sha512: string): string {
  return `blob/${sha512}`
}

/** The commit that the Python tool recorded for a revision, if it mirrored that. */
export async function findLegacyCommit(
  storage: Storage,
  repository: Repository,
  revision: string,
  options: OperationOptions = {},
): Promise<string | undefined> {
  const manifest = await readLegacyManifest(storage, repository, revision, options)
  return manifest?.revision_hash
}

/** A commit that the Python tool mirrored. */
export async function readLegacySnapshot(
  storage: Storage,
  repository: Repository,
  commit: string,
  options: OperationOptions = {},
): Promise<Snapshot | undefined> {
  const manifest = await readLegacyManifest(storage, repository, commit, options)
  if (manifest?.manifest_type !== 'full') return undefined
  const entries = Object.entries(manifest.files).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const files = await pMap(
    entries,
    async ([path, sha512]): Promise<SnapshotFile> => {
      const key = legacyBlobKey(sha512)
      const found = await storage.stat(key, options)
      return { path, size: found?.size ?? 0, oid: sha512.slice(0, 40), etag: sha512, key: found?.key }
    },
    { concurrency: 16 },
  )
  return {
    storage,
    repository,
    commit,
    mirroredAt: new Date(0),
    info: {
      id: repository.id,
      modelId: repository.id,
      sha: commit,
      private: false,
      gated: false,
      disabled: false,
      tags: [],
      downloads: 0,
      likes: 0,
    },
    commits: [],
    files: new Map(files.map((file) => [file.path, file])),
    directories: new Map(foldersAbove(files.map((file) => file.path)).map((folder) => [folder, commit])),
    complete: files.every((file) => file.key !== undefined),
    weight: files.length * 600,
    rendered: new Map(),
  }
}

async function readLegacyManifest(
  storage: Storage,
  repository: Repository,
  revision: string,
  options: OperationOptions,
): Promise<LegacyManifest | undefined> {
  if (repository.type !== 'model') return undefined
  const key = legacyManifestKey(repository, revision)
  const text = await readText(storage, key, options)
  return text === undefined ? undefined : parseLegacyManifest(key, text)
}

export function parseLegacyManifest(key: string, text: string): LegacyManifest {
  try {
    return legacySchema.parse(JSON.parse(text)).manifest
  } catch (error) {
    throw new MalformedObject(key, 'not a manifest of the Python MirrorFace', { cause: error })
  }
}
