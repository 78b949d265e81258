import { z } from 'zod'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { readText, writeJson } from './objects.ts'
import type { VerifyReport } from './verify.ts'

/** Where a whole storage's last check is noted, for people who look at it. */
export const verificationKey = 'verification.json'

const verificationSchema = z.object({
  at: z.iso.datetime(),
  /** Whether content was read and hashed, or sizes and checksums compared only. */
  content: z.boolean(),
  blobs: z.int().nonnegative(),
  problems: z.int().nonnegative(),
})
/** The outcome of the last check of everything in a storage. */
export type Verification = z.infer<typeof verificationSchema>

/** Notes a check's outcome where the storage can be written to. */
export async function noteVerification(storage: Storage, report: VerifyReport, content: boolean): Promise<void> {
  if (storage.writer === undefined) return
  const verification: Verification = {
    at: new Date().toISOString(),
    content,
    blobs: report.blobs,
    problems: report.problems.length,
  }
  await writeJson(storage.writer, verificationKey, verification)
}

/** The last check; `undefined` where none was noted, or nothing that can be read. */
export async function readVerification(
  storage: Storage,
  options: OperationOptions = {},
): Promise<Verification | undefined> {
  const text = await readText(storage, verificationKey, options)
  if (text === undefined) return undefined
  try {
    return verificationSchema.parse(JSON.parse(text))
  } catch {
    return undefined // a note that is damaged says nothing, and the next check writes another
  }
}
