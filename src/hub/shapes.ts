import { z } from 'zod'

/** The Hub's JSON, as far as we read it. Unknown fields are kept where we pass them on, else ignored. */

const commitSchema = z.string().regex(/^[0-9a-f]{40}$/)
const sizeSchema = z.int().nonnegative()

export const repositoryInfoSchema = z.looseObject({ id: z.string(), sha: commitSchema })
export type RepositoryInfo = z.infer<typeof repositoryInfoSchema>

const lfsSchema = z.object({
  oid: z.string().regex(/^[0-9a-f]{64}$/),
  size: sizeSchema,
  pointerSize: sizeSchema.optional(),
})

export const treeEntrySchema = z.object({
  type: z.enum(['file', 'directory']),
  path: z.string(),
  size: sizeSchema.default(0),
  oid: commitSchema,
  lfs: lfsSchema.optional(),
  xetHash: z.string().optional(),
})
/** One entry of `/tree` and `/paths-info`. `size` is in bytes; `oid` git's blob or tree id. */
export type TreeEntry = z.infer<typeof treeEntrySchema>

/** A page of `/tree`. Entries of other kinds, such as git's submodules, are no files of the repository: left out. */
export const treePageSchema = z
  .array(z.looseObject({ type: z.string() }))
  .transform((entries) => entries.filter(({ type }) => type === 'file' || type === 'directory'))
  .pipe(z.array(treeEntrySchema))

const refSchema = z.object({ name: z.string(), ref: z.string(), targetCommit: commitSchema })
export const refsSchema = z.object({
  branches: z.array(refSchema).default([]),
  tags: z.array(refSchema).default([]),
  converts: z.array(refSchema).default([]),
  pullRequests: z.array(refSchema).optional(),
})
export type HubRefs = z.infer<typeof refsSchema>

export const commitsSchema = z.array(z.looseObject({ id: z.string(), title: z.string() }))
export type HubCommits = z.infer<typeof commitsSchema>

export type RefKind = 'branch' | 'tag' | 'convert' | 'pull-request'

/** Where a revision is. */
export interface RevisionPlace {
  readonly commit: string
  /** The ref that the revision named; absent where it named a commit. */
  readonly ref?: { readonly name: string; readonly kind: RefKind }
  /** When the source said so, by its own clock; absent where it gives no time. */
  readonly saidAt?: Date
}

/** Everything that the Hub, or another storage, says of one revision of a repository. */
export interface RevisionListing extends RevisionPlace {
  readonly info: RepositoryInfo
  readonly commits: HubCommits
  /** Every file of the commit. */
  readonly files: readonly TreeEntry[]
  /** Paths of those whose content the source lacks itself. */
  readonly absent?: ReadonlySet<string>
  readonly directories: readonly { readonly path: string; readonly oid: string }[]
}
