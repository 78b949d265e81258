import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { MemoryBucket } from './memory-bucket.ts'

/** What a reader understands of a manifest and a ref: read here without the code under test. */
const manifestSchema = z.looseObject({
  pending: z.boolean().optional(),
  birth: z.string().optional(),
  /** Of a journal entry: the birth of its manifest. */
  of: z.string().optional(),
  files: z.array(z.looseObject({ path: z.string(), blob: z.string().nullable(), copy: z.int().optional() })),
})
export type SeenManifest = z.infer<typeof manifestSchema>
const refSchema = z.looseObject({ commit: z.string().nullable() })

const parsed = new WeakMap<Buffer, unknown>()
const hashed = new WeakMap<Buffer, string>()

function parse(bytes: Buffer): unknown {
  if (!parsed.has(bytes)) parsed.set(bytes, JSON.parse(bytes.toString()))
  return parsed.get(bytes)
}

function hashOf(bytes: Buffer): string {
  const known = hashed.get(bytes) ?? createHash('sha256').update(bytes).digest('hex')
  hashed.set(bytes, known)
  return known
}

/**
 * A manifest that readers see, with the files that were pulled for it; `undefined` where there is none,
 * or only claims on it so far.
 */
export function visibleManifest(bucket: MemoryBucket, key: string): SeenManifest | undefined {
  const found = bucket.objects.get(key)
  if (found === undefined) return undefined
  const manifest = manifestSchema.parse(parse(found.bytes))
  if (manifest.pending === true) return undefined
  const pulled = journalOf(bucket, key, manifest.birth).flatMap(({ files }) => files)
  if (pulled.length === 0) return manifest
  const named = (path: string) => pulled.find((file) => file.path === path)
  return { ...manifest, files: manifest.files.map((file) => (file.blob === null ? (named(file.path) ?? file) : file)) }
}

/** The journal entries that readers see with the manifest of this key and birth. */
function journalOf(bucket: MemoryBucket, key: string, birth: string | undefined): SeenManifest[] {
  const prefix = key.replace('/commits/', '/pulled/').replace(/\.json$/, '')
  return bucket
    .keys(prefix)
    .map((entry) => manifestSchema.parse(parse(bucket.objects.get(entry)?.bytes ?? Buffer.from('{}'))))
    .filter(({ pending, of }) => pending !== true && of !== undefined && of === birth)
}

export function blobKeysOf(manifest: SeenManifest): string[] {
  return manifest.files.flatMap(({ blob, copy }) =>
    blob === null ? [] : [`blobs/sha256/${blob.slice(0, 2)}/${blob}${copy === undefined ? '' : `.${copy}`}`],
  )
}

export const isManifestKey = (key: string) => /^repositories\/[^/]+\/commits\//.test(key)
export const isEntryKey = (key: string) => /^repositories\/[^/]+\/pulled\//.test(key)
export const isRefKey = (key: string) => /^repositories\/[^/]+\/refs\//.test(key)

/** The commit that a ref names to readers, if it is there. */
export function refCommit(bucket: MemoryBucket, key: string): string | undefined {
  const found = bucket.objects.get(key)
  return found === undefined ? undefined : (refSchema.parse(parse(found.bytes)).commit ?? undefined)
}

/**
 * Violations that a reader meets at this moment; `destroyed` are keys of blobs that were destroyed
 * from outside.
 */
export function violations(bucket: MemoryBucket, destroyed: ReadonlySet<string>): string[] {
  const found: string[] = []
  for (const key of bucket.objects.keys()) {
    if (isManifestKey(key)) {
      const manifest = visibleManifest(bucket, key)
      // Entries that the manifest makes superfluous count as well: whoever read it before still goes by them.
      const seen = manifest === undefined ? [] : [manifest, ...journalOf(bucket, key, manifest.birth)]
      for (const blob of seen.flatMap(blobKeysOf)) {
        const bytes = bucket.objects.get(blob)?.bytes
        if (bytes === undefined && !destroyed.has(blob)) found.push(`${key} names ${blob}, which is missing`)
        else if (bytes !== undefined && !blob.includes(hashOf(bytes))) found.push(`${blob} holds other bytes`)
      }
    } else if (isRefKey(key)) {
      const commit = refCommit(bucket, key)
      if (commit === undefined) continue
      const manifest = key.replace(/refs\/.*$/, `commits/${commit}.json`)
      if (visibleManifest(bucket, manifest) === undefined) found.push(`${key} dangles: no manifest of ${commit}`)
    }
  }
  return found
}
