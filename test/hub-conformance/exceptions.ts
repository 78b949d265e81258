import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'

export const modes = ['direct', 'pass', 'follow', 'mirrored'] as const
export type Mode = (typeof modes)[number]

const schema = z.array(
  z.strictObject({
    reason: z.string().min(20),
    modes: z.array(z.enum(modes)).min(1),
    versions: z.array(z.string()).optional(),
    tests: z.array(z.string()).min(1),
  }),
)

/** Names of the tests that need not pass in that mode. */
export async function readExceptions(version: string, mode: Mode): Promise<ReadonlySet<string>> {
  const groups = schema.parse(parse(await readFile(new URL('exceptions.yaml', import.meta.url), 'utf8')))
  const wanted = groups.filter((group) => group.modes.includes(mode) && (group.versions ?? [version]).includes(version))
  return new Set(wanted.flatMap(({ tests }) => tests))
}
