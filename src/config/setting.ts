import { z } from 'zod'

/** One setting: what it means, what it may be, and where it can be given. */
export interface Setting {
  readonly description: string
  readonly schema: z.ZodType
  readonly default?: unknown
  /** The environment variable, where there is one. */
  readonly env?: string
  /** The flag without its dashes, where it is not the setting's name. */
  readonly flag?: string
  /** Several values: a flag that may be given again, a variable with commas. */
  readonly list?: boolean
  /** Keeps the value out of what `mirrorface config` prints. */
  readonly secret?: boolean
}

/** The longest duration, in milliseconds. Node's timers fire at once beyond 2^31 - 1 ms; margins are added to some. */
const longestDuration = 24 * 24 * 3600 * 1000

/** A whole number, or its digits: what `Number` makes of '', null or true is nobody's intent. */
export const numberSchema = z
  .union(
    [
      z.number(),
      z
        .string()
        .trim()
        .regex(/^-?\d+$/)
        .transform(Number),
    ],
    'expected a whole number',
  )
  .pipe(z.int('expected a whole number'))
export const portSchema = numberSchema.pipe(z.int().min(0).max(65535))
export const flagSchema = z.union([z.boolean(), z.stringbool()])
export const bytesSchema = numberSchema.pipe(z.int().positive())
export const durationSchema = numberSchema.pipe(
  z.int().min(1, 'expected at least 1 ms').max(longestDuration, `expected at most ${longestDuration} ms (24 days)`),
)
export const durationOrNoneSchema = numberSchema.pipe(
  z.int().min(0, 'expected 0 or more ms').max(longestDuration, `expected at most ${longestDuration} ms (24 days)`),
)
export const pluginSchema = z.looseObject({ plugin: z.string().min(1) })
/** URLs, and in a file also references to plugins; in a variable, URLs apart by spaces. */
export const storagesSchema = z
  .union(
    [
      z.string().transform((text) => text.split(/\s+/).filter((url) => url !== '')),
      z.array(z.union([z.string(), pluginSchema], 'expected a URL, or {plugin, …options}')),
    ],
    'expected URLs such as file:///directory or s3://bucket/prefix',
  )
  .refine(({ length }) => length > 0, 'expected at least one')
export const listSchema = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(','))])
  .transform((items) => items.map((item) => item.trim()).filter((item) => item !== ''))
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
