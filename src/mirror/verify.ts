import pMap from 'p-map'
import { formatRepository, type Repository } from '../hub/index.ts'
import type { ObjectStat, OperationOptions, Storage } from '../plugin/index.ts'
import type { BlobHasher } from './hash-blobs.ts'
import { blobKey, blobsPrefix, parseBlobKey, sha256OfName } from './layout.ts'
import { blobNameOf, type Manifest } from './manifest.ts'
import type { Problem } from './problem.ts'
import { checkMarker, checkMetadata, readsAtATime } from './verify-metadata.ts'

export interface VerifyOptions extends OperationOptions {
  /** Only these; absent: everything, and orphans too. */
  readonly repositories?: readonly Repository[]
  /** Reads and hashes every blob; absent: existence, size, and the service's own checksum only. */
  readonly hasher?: BlobHasher
  readonly progress: VerifyProgress
  /** Problems are added here as they are found, for a run that may be interrupted. */
  readonly found?: Problem[]
}

export interface VerifyProgress {
  planned(blobs: number, bytes: number): void
  /** As content is hashed; all of a blob at once where its content is not read. */
  bytesChecked(bytes: number): void
  blobChecked(): void
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

interface ExpectedBlob {
  readonly name: string
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
  const problems = options.found ?? []
  await storage.ready(options)
  await checkMarker(storage, problems, options)
  const { repositories, manifests, refs } = await checkMetadata(storage, options.repositories, problems, options)
  const expected = expectedBlobs(manifests)
  const bytes = [...expected.values()].reduce((sum, blob) => sum + blob.size, 0)
  options.progress.planned(expected.size, bytes)
  const stored = options.repositories === undefined ? await storedBlobs(storage, problems, options) : undefined
  await pMap(expected.values(), (blob) => checkBlob(storage, blob, stored, problems, options), {
    concurrency: options.hasher?.concurrency ?? readsAtATime,
  })
  const report = {
    repositories: repositories.size,
    manifests: manifests.length,
    refs,
    blobs: expected.size,
    bytes,
    problems: problems.toSorted((a, b) => a.key.localeCompare(b.key)),
  }
  return stored === undefined ? report : { ...report, orphans: orphansOf(stored, expected) }
}

function expectedBlobs(manifests: readonly Manifest[]): Map<string, ExpectedBlob> {
  const expected = new Map<string, ExpectedBlob>()
  for (const manifest of manifests) {
    const repository = formatRepository(manifest.repository)
    for (const file of manifest.files) {
      const name = blobNameOf(file)
      const { size, path, crc32c } = file
      if (name !== undefined) expected.set(name, { name, size, crc32c, repository, commit: manifest.commit, path })
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
    const name = parseBlobKey(object.key)
    if (name === undefined) problems.push({ kind: 'unknown object', key: object.key })
    else stored.set(name, object)
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
  const key = blobKey(blob.name)
  const expected = sha256OfName(blob.name)
  const about = { key, repository: blob.repository, commit: blob.commit, path: blob.path }
  let hashed = 0
  const found = stored === undefined ? await storage.stat(key, options) : stored.get(blob.name)
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
    const onHashed = (bytes: number): void => {
      hashed += bytes
      options.progress.bytesChecked(bytes)
    }
    const sha256 = await options.hasher.sha256(storage, found, { ...options, onHashed })
    if (sha256 !== expected) {
      problems.push({ kind: 'wrong content', ...about, expected: `SHA-256 ${expected}`, found: `SHA-256 ${sha256}` })
    }
  }
  options.progress.bytesChecked(blob.size - hashed)
  options.progress.blobChecked()
}

function orphansOf(stored: ReadonlyMap<string, ObjectStat>, expected: ReadonlyMap<string, ExpectedBlob>) {
  const orphans = [...stored].filter(([name]) => !expected.has(name)).map(([, object]) => object)
  return {
    blobs: orphans.length,
    bytes: orphans.reduce((sum, { size }) => sum + size, 0),
    keys: orphans.map(({ key }) => key).toSorted(),
  }
}
