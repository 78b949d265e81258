import { z } from 'zod'

/** One setting: what it means, what it may be, and where it can be given. */
export interface Setting {
  readonly description: string
  readonly schema: z.ZodType
  readonly default?: unknown
  /** The environment variable, where there is one. */
  readonly env?: string
  /** Several values: a flag that may be given again, a variable with commas. */
  readonly list?: boolean
  /** Keeps the value out of what `mirrorface config` prints. */
  readonly secret?: boolean
}

export const portSchema = z.coerce.number().pipe(z.int().min(0).max(65535))
export const flagSchema = z.union([z.boolean(), z.stringbool()])
export const bytesSchema = z.coerce.number().pipe(z.int().positive())
/** What Node's timers can wait for: a longer time would pass at once. */
const longestWait = 2 ** 31 - 1
export const millisecondsSchema = z.coerce.number().pipe(z.int().nonnegative().max(longestWait))
export const pluginSchema = z.looseObject({ plugin: z.string().min(1) })
export const listSchema = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  ),
])
export const originSchema = z
  .string()
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text.toLowerCase(),
    'expected an origin such as https://app.example.com, without a path',
  )
/** As long as a key of AES-256 in hexadecimal, half of it at least: openssl rand -hex 32. */
export const sealSecretSchema = z
  .string()
  .min(32, 'expected at least 32 characters, such as those of openssl rand -hex 32')
export const accessTokenSchema = z.strictObject({
  token: z.string().min(8),
  name: z.string().min(1).optional(),
  repositories: z.array(z.string()).default(['**']),
  write: z.boolean().default(false),
})
