import { z } from 'zod'
import { layoutVersion } from './layout.ts'
import { claimSchema, fileSchema, parseObject, stampSchema } from './manifest.ts'

const entrySchema = z.looseObject({
  layout: z.literal(layoutVersion),
  ...stampSchema,
  /** The `birth` of the commit's manifest: under a manifest of another birth the entry means nothing. */
  of: z.string(),
  files: z.tuple([fileSchema]),
  /** Only claimed so far: to readers it is absent. */
  pending: z.literal(true).optional(),
  /** By run. */
  claims: z.record(z.string(), claimSchema).optional(),
})
/** One pulled file of a commit: what a manifest is for all files, with the same rules. */
export type JournalEntry = z.infer<typeof entrySchema>

export function parseJournalEntry(key: string, text: string): JournalEntry {
  return parseObject(entrySchema, key, text)
}
