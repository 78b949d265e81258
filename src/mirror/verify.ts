import pMap from 'p-map'
import { describeError, formatRepository, type Repository, typeOfCollection } from '../hub/index.ts'
import type { ObjectStat, OperationOptions, Storage } from '../plugin/index.ts'
import type { BlobHasher } from './hash-blobs.ts'
import {
  blobKey,
  blobsPrefix,
  markerKey,
  parseBlobKey,
  parseRepositoryKey,
  repositoriesPrefix,
  repositoryPrefix,
} from './layout.ts'
import { assertMarker, isDamage, type Manifest, parseManifest, parseRef } from './manifest.ts'
import { readText } from './objects.ts'

export type ProblemKind =
  | 'missing blob'
  | 'wrong size'
  | 'wrong content'
  | 'damaged manifest'
  | 'damaged ref'
  | 'dangling ref'
  | 'unknown object'
  | 'damaged marker'

/** Something that is wrong, with everything a person needs to find it. */
export interface Problem {
  readonly kind: ProblemKind
  readonly key: string
  readonly repository?: string
  readonly commit?: string
  readonly path?: string
  readonly expected?: string
  readonly found?: string
}

/** The repository that a problem is about; the report names it as people do. */
export function repositoryOfProblem({ repository }: Problem): Repository | undefined {
  if (repository === undefined) return undefined
  const [collection = '', ...rest] = repository.split('/')
  const type = typeOfCollection(collection)
  return type === undefined ? { type: 'model', id: repository } : { type, id: rest.join('/') }
}

export interface VerifyOptions extends OperationOptions {
  /** Only these; absent: everything, and orphans too. */
  readonly repositories?: readonly Repository[]
  /** Reads and hashes every blob; absent: existence, size, and the service's own checksum only. */
  readonly hasher?: BlobHasher
  readonly progress: VerifyProgress
}

export interface VerifyProgress {
  planned(blobs: number, bytes: number): void
  blobChecked(bytes: number): void
}

export interface VerifyReport {
  readonly repositories: number
  readonly manifests: number
  readonly refs: number
  readonly blobs: number
  readonly bytes: number
  readonly problems: readonly Problem[]
  /** Blobs that no manifest names; absent where only some repositories were looked at. */
  readonly orphans?: { readonly blobs: number; readonly bytes: number; readonly keys: readonly string[] }
}

interface FoundRef {
  readonly key: string
  readonly repository: string
  readonly name: string
}

interface ExpectedBlob {
  readonly sha256: string
  readonly size: number
  readonly crc32c?: string | undefined
  readonly repository: string
  readonly commit: string
  readonly path: string
}

/**
 * Proves that what is stored is whole:
 * 1. the marker is of a layout that we know;
 * 2. every object below `repositories/` is a sound manifest or ref;
 * 3. every ref points to a manifest that is there;
 * 4. every blob that a manifest names is there, of the right size and, read whole, of the right hash;
 * 5. blobs that nothing names are orphans: no fault, but room to win.
 */
export async function verifyStorage(storage: Storage, options: VerifyOptions): Promise<VerifyReport> {
  const problems: Problem[] = []
  await storage.ready(options)
  await checkMarker(storage, problems, options)
  const manifests: Manifest[] = []
  const refs: FoundRef[] = []
  const repositories = new Set<string>()
  for (const prefix of options.repositories?.map(repositoryPrefix) ?? [repositoriesPrefix]) {
    for await (const { key } of storage.list(prefix, options)) {
      const parsed = parseRepositoryKey(key)
      if (parsed === undefined) {
        problems.push({ kind: 'unknown object', key })
        continue
      }
      repositories.add(formatRepository(parsed.repository))
      if (parsed.kind === 'ref') refs.push({ key, repository: formatRepository(parsed.repository), name: parsed.ref })
      else await checkManifest(storage, key, parsed, manifests, problems, options)
    }
  }
  for (const ref of refs) await checkRef(storage, ref, manifests, problems, options)
  const expected = expectedBlobs(manifests)
  const bytes = [...expected.values()].reduce((sum, blob) => sum + blob.size, 0)
  options.progress.planned(expected.size, bytes)
  const stored = options.repositories === undefined ? await storedBlobs(storage, problems, options) : undefined
  await pMap(expected.values(), (blob) => checkBlob(storage, blob, stored, problems, options), {
    concurrency: options.hasher?.concurrency ?? 32,
  })
  const report = {
    repositories: repositories.size,
    manifests: manifests.length,
    refs: refs.length,
    blobs: expected.size,
    bytes,
    problems,
  }
  return stored === undefined ? report : { ...report, orphans: orphansOf(stored, expected) }
}

async function checkMarker(storage: Storage, problems: Problem[], options: OperationOptions): Promise<void> {
  const text = await readText(storage, markerKey, options)
  if (text === undefined) return
  try {
    assertMarker(markerKey, text)
  } catch (error) {
    problems.push({ kind: 'damaged marker', key: markerKey, found: describeError(error) })
  }
}

async function checkManifest(
  storage: Storage,
  key: string,
  expected: { readonly repository: Repository; readonly commit: string },
  manifests: Manifest[],
  problems: Problem[],
  options: OperationOptions,
): Promise<void> {
  const name = formatRepository(expected.repository)
  try {
    const manifest = parseManifest(key, (await readText(storage, key, options)) ?? '')
    if (manifest.commit !== expected.commit || formatRepository(manifest.repository) !== name) {
      problems.push({
        kind: 'damaged manifest',
        key,
        repository: name,
        commit: expected.commit,
        expected: `${name}@${expected.commit}`,
        found: `${formatRepository(manifest.repository)}@${manifest.commit}`,
      })
    } else manifests.push(manifest)
  } catch (error) {
    if (!isDamage(error)) throw error
    problems.push({
      kind: 'damaged manifest',
      key,
      repository: name,
      commit: expected.commit,
      found: describeError(error),
    })
  }
}

async function checkRef(
  storage: Storage,
  { key, repository, name }: FoundRef,
  manifests: readonly Manifest[],
  problems: Problem[],
  options: OperationOptions,
): Promise<void> {
  const about = { key, repository, path: name }
  try {
    const { commit } = parseRef(key, (await readText(storage, key, options)) ?? '')
    const isOf = (manifest: Manifest) =>
      manifest.commit === commit && formatRepository(manifest.repository) === repository
    // A manifest that is damaged is reported as that, and not once more for each ref.
    const isReported = problems.some((problem) => problem.repository === repository && problem.commit === commit)
    if (!manifests.some(isOf) && !isReported) {
      problems.push({ kind: 'dangling ref', ...about, expected: `a manifest of ${commit}`, found: 'none' })
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    problems.push({ kind: 'damaged ref', ...about, found: describeError(error) })
  }
}

function expectedBlobs(manifests: readonly Manifest[]): Map<string, ExpectedBlob> {
  const expected = new Map<string, ExpectedBlob>()
  for (const manifest of manifests) {
    const repository = formatRepository(manifest.repository)
    for (const { blob, size, path, crc32c } of manifest.files) {
      if (blob !== null) expected.set(blob, { sha256: blob, size, crc32c, repository, commit: manifest.commit, path })
    }
  }
  return expected
}

async function storedBlobs(
  storage: Storage,
  problems: Problem[],
  options: OperationOptions,
): Promise<Map<string, ObjectStat>> {
  const stored = new Map<string, ObjectStat>()
  for await (const object of storage.list(blobsPrefix, options)) {
    const sha256 = parseBlobKey(object.key)
    if (sha256 === undefined) problems.push({ kind: 'unknown object', key: object.key })
    else stored.set(sha256, object)
  }
  return stored
}

async function checkBlob(
  storage: Storage,
  blob: ExpectedBlob,
  stored: ReadonlyMap<string, ObjectStat> | undefined,
  problems: Problem[],
  options: VerifyOptions,
): Promise<void> {
  const key = blobKey(blob.sha256)
  const about = { key, repository: blob.repository, commit: blob.commit, path: blob.path }
  const found = stored === undefined ? await storage.stat(key, options) : stored.get(blob.sha256)
  if (found === undefined) problems.push({ kind: 'missing blob', ...about, expected: `${blob.size} bytes` })
  else if (found.size !== blob.size) {
    problems.push({ kind: 'wrong size', ...about, expected: `${blob.size} bytes`, found: `${found.size} bytes` })
  } else if (blob.crc32c !== undefined && found.crc32c !== undefined && blob.crc32c !== found.crc32c) {
    problems.push({
      kind: 'wrong content',
      ...about,
      expected: `CRC-32C ${blob.crc32c}`,
      found: `CRC-32C ${found.crc32c}`,
    })
  } else if (options.hasher !== undefined) {
    const sha256 = await options.hasher.sha256(storage, found, options)
    if (sha256 !== blob.sha256) {
      problems.push({ kind: 'wrong content', ...about, expected: `SHA-256 ${blob.sha256}`, found: `SHA-256 ${sha256}` })
    }
  }
  options.progress.blobChecked(blob.size)
}

function orphansOf(stored: ReadonlyMap<string, ObjectStat>, expected: ReadonlyMap<string, ExpectedBlob>) {
  const orphans = [...stored].filter(([sha256]) => !expected.has(sha256)).map(([, object]) => object)
  return {
    blobs: orphans.length,
    bytes: orphans.reduce((sum, { size }) => sum + size, 0),
    keys: orphans.map(({ key }) => key).toSorted(),
  }
}
