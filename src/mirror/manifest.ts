import { z } from 'zod'
import { Failure, isFilePath, isRepositoryId, repositoryTypes } from '../hub/index.ts'
import { blobName, layoutVersion, readableLayouts } from './layout.ts'

const commitSchema = z.string().regex(/^[0-9a-f]{40}$/, 'expected a commit of 40 hex digits')
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 of 64 hex digits')
const pathSchema = z.string().refine(isFilePath, 'not a path inside a repository')
const sizeSchema = z.int().nonnegative()

/** Objects that change carry these, so that a writer whose response was lost knows its own write. */
export const stampSchema = {
  /** Random, new with each write. Absent: written by an earlier version. */
  rev: z.string().optional(),
  /** The run that wrote it. */
  writer: z.string().optional(),
}

export const fileSchema = z.looseObject({
  path: pathSchema,
  /** Bytes. */
  size: sizeSchema,
  /** Git's blob id; for a large file, that of its pointer. */
  oid: commitSchema,
  /** Present where the Hub keeps the file as a large file. */
  lfs: z.looseObject({ sha256: sha256Schema, pointerSize: sizeSchema }).optional(),
  /** SHA-256 of the stored content; `null` where a filter left the file out: the upstream's to answer. */
  blob: sha256Schema.nullable(),
  /** Present where the content lies under a copy's name: the log entry that condemned the name before. */
  copy: z.int().positive().optional(),
  /** CRC-32C of the stored content, base64, where the storage computes one: a check that reads nothing. */
  crc32c: z.string().optional(),
  /** Pulled through for a client, and not mirrored on purpose. */
  pulled: z.literal(true).optional(),
})
export type ManifestFile = z.infer<typeof fileSchema>

export const claimSchema = z.looseObject({
  /** The lease of the run that claims. */
  lease: z.string(),
  kind: z.string(),
  /** Names of blobs that the run is about to name in this manifest. */
  blobs: z.array(z.string()),
})
/** A run's word that it is about to change the object in which this stands. */
export type Claim = z.infer<typeof claimSchema>

const manifestSchema = z.looseObject({
  layout: z.literal(readableLayouts),
  ...stampSchema,
  repository: z.looseObject({
    type: z.enum(repositoryTypes),
    id: z.string().refine(isRepositoryId, 'not a repository id'),
  }),
  commit: commitSchema,
  mirroredAt: z.iso.datetime(),
  /** When the source said what `info` has, by the Hub's clock. Absent: written by an earlier version. */
  saidAt: z.iso.datetime().optional(),
  /** The Hub's URL, or the storage it was copied from. */
  mirroredFrom: z.string(),
  /** The Hub's info JSON, less what is volatile or secret. */
  info: z.record(z.string(), z.unknown()),
  /** The newest commits up to this one, as the Hub lists them. */
  commits: z.array(z.record(z.string(), z.unknown())),
  files: z.array(fileSchema),
  /** Folders with git's tree ids. */
  directories: z.array(z.looseObject({ path: pathSchema, oid: commitSchema })),
  /**
   * Random, given to the manifest of a pulled commit and kept by it: a journal entry names the one that it belongs to,
   * so that what was pulled for a manifest that has been removed never shows in a later one.
   */
  birth: z.string().optional(),
  /** Made by a server that pulls files through; no run has mirrored the commit on purpose. */
  pulled: z.literal(true).optional(),
  /** Only claimed so far: to readers it is absent. */
  pending: z.literal(true).optional(),
  /** By run. */
  claims: z.record(z.string(), claimSchema).optional(),
})
/** One commit of a repository with every one of its files. */
export type Manifest = z.infer<typeof manifestSchema>

const refSchema = z.looseObject({
  ...stampSchema,
  /** `null`: only claimed so far; to readers it is absent. */
  commit: commitSchema.nullable(),
  kind: z.enum(['branch', 'tag', 'convert', 'pull-request']),
  /** When the Hub said so, by the Hub's clock. */
  saidAt: z.iso.datetime().optional(),
  /** In refs of earlier versions, in place of `saidAt`: by the clock of whoever wrote it. */
  updatedAt: z.iso.datetime().optional(),
  /** Not mirrored on purpose, but where the Hub had it when a file was pulled through: it counts while the Hub is down. */
  pulled: z.literal(true).optional(),
  /** By run: the commit to which it is about to move the ref. */
  claims: z.record(z.string(), z.looseObject({ lease: z.string(), commit: commitSchema })).optional(),
})
/** A ref as it is stored, which may be no more than claimed. */
export type StoredRef = z.infer<typeof refSchema>
/** Which commit a branch, tag or other ref is at. */
export type Ref = StoredRef & { readonly commit: string }

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
      `${key} has layout ${String(layout)}, and this version reads layouts up to ${layoutVersion}: upgrade MirrorFace`,
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

/** The name of a file's blob; `undefined` where its content is not stored. */
export function blobNameOf({ blob, copy }: Pick<ManifestFile, 'blob' | 'copy'>): string | undefined {
  return blob === null ? undefined : blobName(blob, copy)
}

/** When a ref's commit was heard of; in refs of earlier versions by the clock of whoever wrote it. */
export function heardAt({ saidAt, updatedAt }: StoredRef): string {
  return saidAt ?? updatedAt ?? new Date(0).toISOString()
}

export function parseRef(key: string, text: string): StoredRef {
  return parseObject(refSchema, key, text)
}

/** The layout of a storage. Throws where this version does not know it. */
export function parseMarker(key: string, text: string): number {
  return parseObject(markerSchema, key, text).layout
}

/** Reads one of our JSON objects; throws a {@link MalformedObject} or {@link UnknownLayout}. */
export function parseObject<T>(schema: z.ZodType<T>, key: string, text: string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MalformedObject(key, 'not valid JSON', { cause: error })
  }
  const layout = value instanceof Object && 'layout' in value ? value.layout : undefined
  if (layout !== undefined && !readableLayouts.some((known) => known === layout)) throw new UnknownLayout(key, layout)
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new MalformedObject(key, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}

/** Whether every file of the commit is stored. */
export function isComplete(manifest: Manifest): boolean {
  return manifest.files.every((file) => file.blob !== null)
}
