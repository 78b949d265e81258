import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { Storage as GoogleStorage } from '@google-cloud/storage'
import { blobKeysOf, isManifestKey, violations, visibleManifest } from '../../search/invariants.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { temporaryFolder } from '../../support/processes.ts'
import type { Revision } from './writers.ts'

/** A storage that processes write to, as a reader without MirrorFace's code sees it. */
export interface Place extends AsyncDisposable {
  /** Tells commands which storage it is. */
  readonly settings: Readonly<Record<string, string>>
  /** All objects. Not a snapshot where something writes meanwhile. */
  read(): Promise<MemoryBucket>
  /** Temporary files, by name. */
  unfinished(): Promise<string[]>
  /** Destroys an object from outside; `bytes` absent: removes it. */
  damage(key: string, bytes: Buffer | undefined): Promise<void>
}

export async function localPlace(): Promise<Place> {
  const folder = await temporaryFolder()
  const known = new Map<string, Buffer>()
  const filesBelow = async (directory: string) => {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  }
  return {
    settings: { MIRRORFACE_LOCAL_DIRECTORY: folder.path },
    read: async () => {
      const bucket = new MemoryBucket()
      for (const path of await filesBelow(folder.path)) {
        const key = relative(folder.path, path).split(sep).join('/')
        if (key.startsWith('.')) continue
        const found = await stat(path).catch(() => undefined)
        const version = `${path} ${found?.ino} ${found?.mtimeMs} ${found?.size}`
        const bytes = known.get(version) ?? (await readFile(path).catch(() => undefined))
        if (found === undefined || bytes === undefined) continue // removed since it was listed
        if (key.startsWith('blobs/')) known.set(version, bytes)
        bucket.put(key, bytes, found.mtime)
      }
      return bucket
    },
    unfinished: async () =>
      (await filesBelow(join(folder.path, '.unfinished'))).map((path) => relative(folder.path, path)),
    damage: async (key, bytes) => {
      const path = join(folder.path, key)
      await rm(path)
      if (bytes !== undefined) await writeFile(path, bytes)
    },
    [Symbol.asyncDispose]: async () => await folder[Symbol.asyncDispose](),
  }
}

/** A bucket of a GCS API server. */
export function bucketPlace(endpoint: string, name: string): Place {
  const bucket = new GoogleStorage({ apiEndpoint: endpoint, projectId: 'x' }).bucket(name)
  const known = new Map<string, Buffer>()
  return {
    settings: { MIRRORFACE_GCS_ENDPOINT: endpoint, MIRRORFACE_GCS_BUCKET: name },
    read: async () => {
      const read = new MemoryBucket()
      for (const file of (await bucket.getFiles())[0]) {
        if (file.name.startsWith('.')) continue
        const version = `${file.name} ${file.metadata.generation}`
        const bytes = known.get(version) ?? (await file.download().catch(() => undefined))?.[0]
        if (bytes === undefined) continue // removed since it was listed
        known.set(version, bytes)
        read.put(file.name, bytes, new Date(file.metadata.updated ?? 0))
      }
      return read
    },
    unfinished: async () => (await bucket.getFiles({ prefix: '.unfinished/' }))[0].map((file) => file.name),
    damage: async (key, bytes) => {
      if (bytes === undefined) await bucket.file(key).delete()
      else await bucket.file(key).save(bytes, { resumable: false })
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/**
 * What a reader finds wrong. While others write, objects are read one after another: what is wrong must still be so, of
 * the same objects, when they are read again, as a reader that misses a blob reads the manifest again.
 */
export async function wrongIn(place: Place, damaged: ReadonlySet<string> = new Set()): Promise<string[]> {
  let wrong = violationsOf(await place.read(), damaged)
  for (let again = 0; again < 2 && wrong.length > 0; again++) {
    const still = new Set(violationsOf(await place.read(), damaged))
    wrong = wrong.filter((one) => still.has(one))
  }
  return wrong
}

function violationsOf(bucket: MemoryBucket, damaged: ReadonlySet<string>): string[] {
  return violations(bucket, damaged).filter((one) => ![...damaged].some((key) => one.startsWith(`${key} holds`)))
}

/** How a revision is not as a reader should find it: every file there, or nothing of it. */
export function notWhole(bucket: MemoryBucket, { id, commit }: Revision): string[] {
  const manifest = visibleManifest(bucket, manifestKeyOf(id, commit))
  if (manifest === undefined) return [`${id}@${commit} is not there`]
  return manifest.files.filter(({ blob }) => blob === null).map(({ path }) => `${id}@${commit} lacks ${path}`)
}

export function notGone(bucket: MemoryBucket, { id, commit }: Revision): string[] {
  return visibleManifest(bucket, manifestKeyOf(id, commit)) === undefined ? [] : [`${id}@${commit} is still there`]
}

function manifestKeyOf(id: string, commit: string): string {
  return `repositories/models--${id.replace('/', '--')}/commits/${commit}.json`
}

/** What is left over in a storage that nothing works on, and that has been swept. */
export async function leftIn(place: Place): Promise<string[]> {
  const bucket = await place.read()
  const named = new Set(
    [...bucket.objects.keys()]
      .filter(isManifestKey)
      .flatMap((key) => blobKeysOf(visibleManifest(bucket, key) ?? { files: [] })),
  )
  const left = await place.unfinished()
  for (const [key, { bytes }] of bucket.objects) {
    if (key.startsWith('leases/')) left.push(key)
    else if (key.startsWith('blobs/') && !named.has(key)) left.push(`${key}: no manifest names it`)
    else if (key.startsWith('repositories/') && /"claims"|"pending"/.test(bytes.toString()))
      left.push(`${key}: a claim on it`)
    else if (key.startsWith('deletions/') && !/"phase":\s*"(?:done|abandoned)"/.test(bytes.toString()))
      left.push(`${key}: not through`)
  }
  return left
}
