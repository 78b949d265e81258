import { z } from 'zod'
import { Failure, isFilePath, isRepositoryId, repositoryTypes } from '../hub/index.ts'
import { layoutVersion } from './layout.ts'

const commitSchema = z.string().regex(/^[0-9a-f]{40}$/, 'expected a commit of 40 hex digits')
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 of 64 hex digits')
const pathSchema = z.string().refine(isFilePath, 'not a path inside a repository')
const sizeSchema = z.int().nonnegative()

const fileSchema = z.strictObject({
  path: pathSchema,
  /** Bytes. */
  size: sizeSchema,
  /** Git's blob id; for a large file, that of its pointer. */
  oid: commitSchema,
  /** Present where the Hub keeps the file as a large file. */
  lfs: z.strictObject({ sha256: sha256Schema, pointerSize: sizeSchema }).optional(),
  /** SHA-256 of the stored content; `null` where a filter left the file out: the upstream's to answer. */
  blob: sha256Schema.nullable(),
  /** CRC-32C of the stored content, base64, where the storage computes one: a check that reads nothing. */
  crc32c: z.string().optional(),
})
export type ManifestFile = z.infer<typeof fileSchema>

const manifestSchema = z.strictObject({
  layout: z.literal(layoutVersion),
  repository: z.strictObject({
    type: z.enum(repositoryTypes),
    id: z.string().refine(isRepositoryId, 'not a repository id'),
  }),
  commit: commitSchema,
  mirroredAt: z.iso.datetime(),
  /** The Hub's URL, or the storage it was copied from. */
  mirroredFrom: z.string(),
  /** The Hub's info JSON, less what is volatile or secret. */
  info: z.record(z.string(), z.unknown()),
  /** The newest commits up to this one, as the Hub lists them. */
  commits: z.array(z.record(z.string(), z.unknown())),
  files: z.array(fileSchema),
  /** Folders with git's tree ids. */
  directories: z.array(z.strictObject({ path: pathSchema, oid: commitSchema })),
})
/** One commit of a repository with every one of its files. */
export type Manifest = z.infer<typeof manifestSchema>

const refSchema = z.strictObject({
  commit: commitSchema,
  kind: z.enum(['branch', 'tag', 'convert', 'pull-request']),
  updatedAt: z.iso.datetime(),
  /** Not mirrored on purpose, but where the Hub had it when a file was pulled through: it counts while the Hub is down. */
  pulled: z.literal(true).optional(),
})
/** Which commit a branch, tag or other ref is at. */
export type Ref = z.infer<typeof refSchema>

const markerSchema = z.looseObject({ layout: z.int() })

/** A manifest, ref or marker that is no such thing: cut short, of another layout, inconsistent. */
export class MalformedObject extends Failure {
  constructor(key: string, reason: string, options?: ErrorOptions) {
    super('MalformedObject', 500, `${key} is damaged: ${reason}`, options)
  }
}

/** A storage written by a newer MirrorFace. */
export class UnknownLayout extends Failure {
  constructor(key: string, layout: unknown) {
    super(
      'UnknownLayout',
      500,
      `${key} has layout ${String(layout)}, and this version reads layout ${layoutVersion}: upgrade MirrorFace`,
    )
  }
}

/** Whether an object is at fault, and not the storage that holds it. */
export function isDamage(error: unknown): error is MalformedObject | UnknownLayout {
  return error instanceof MalformedObject || error instanceof UnknownLayout
}

export function parseManifest(key: string, text: string): Manifest {
  const manifest = parseObject(manifestSchema, key, text)
  const paths = new Set(manifest.files.map((file) => file.path))
  if (paths.size !== manifest.files.length) throw new MalformedObject(key, 'a path stands in it twice')
  for (const file of manifest.files) {
    if (file.lfs !== undefined && file.blob !== null && file.blob !== file.lfs.sha256) {
      throw new MalformedObject(key, `${file.path}: the blob is not the large file's SHA-256`)
    }
  }
  return manifest
}

export function parseRef(key: string, text: string): Ref {
  return parseObject(refSchema, key, text)
}

/** Refuses a storage of a layout that this version does not know. */
export function assertMarker(key: string, text: string): void {
  parseObject(markerSchema, key, text)
}

function parseObject<T>(schema: z.ZodType<T>, key: string, text: string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MalformedObject(key, 'not valid JSON', { cause: error })
  }
  const layout = value instanceof Object && 'layout' in value ? value.layout : undefined
  if (layout !== undefined && layout !== layoutVersion) throw new UnknownLayout(key, layout)
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new MalformedObject(key, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}

/** Whether every file of the commit is stored. */
export function isComplete(manifest: Manifest): boolean {
  return manifest.files.every((file) => file.blob !== null)
}
