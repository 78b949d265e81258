import { z } from 'zod'
import { isRepositoryId, type Method, type NamedRepository, quoted, type Target } from '../../hub/index.ts'
import { bodyOfBytes, type RequestBody } from '../../plugin/index.ts'
import { invalidBody } from './refusals.ts'

/** What a body says that the gate decides by. */
export interface CheckedBody {
  /** Serialised anew from what was understood, so that nobody behind the gate reads it in another way. */
  readonly body: RequestBody
  readonly repositories: readonly NamedRepository[]
  readonly lfs?: { readonly operation: 'download' | 'upload'; readonly oids: readonly string[] }
}

/** Reads the JSON value, or values, of a body, and says which repositories it names. */
type Reader = (values: readonly unknown[], target: Target) => Omit<CheckedBody, 'body'>

const type = z
  .enum(['model', 'dataset', 'space', 'kernel', 'bucket'])
  .nullish()
  .transform((given) => given ?? 'model')
const created = z.looseObject({ name: z.string(), organization: z.string().nullish(), type })
const moved = z.looseObject({ fromRepo: z.string(), toRepo: z.string(), type })
const duplicated = z.looseObject({ repository: z.string() })
const filesDuplicated = z.looseObject({ target: z.looseObject({ type, name: z.string() }) })
const bucketChange = z.looseObject({ sourceRepoType: type, sourceRepoId: z.string().nullish() })
const lfsBatch = z.looseObject({
  operation: z.enum(['download', 'upload']),
  objects: z.array(z.looseObject({ oid: z.string() })),
})

/** How a body is read that names repositories; `undefined`: none does. */
export function bodyReaderOf(method: Method, target: Target): Reader | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined
  switch (target.operation) {
    case 'lfs-batch':
      return one(lfsBatch, ({ operation, objects }) => ({
        repositories: [],
        lfs: { operation, oids: objects.map(({ oid }) => oid) },
      }))
    case 'repos-create':
    case 'repos-delete':
      return one(created, (value) => ({ repositories: [named(value.type, fullName(value))] }))
    case 'repos-move':
      return one(moved, (value) => ({
        repositories: [named(value.type, value.fromRepo), named(value.type, value.toRepo)],
      }))
    case 'repository-write':
      return writeReaderOf(target)
    default:
      return undefined
  }
}

function writeReaderOf({ route, repository, segments }: Target<'repository-write'>): Reader | undefined {
  if (route === 'duplicate')
    return one(duplicated, (value) => ({ repositories: [named(repository.type, value.repository)] }))
  if (route.startsWith('lfs-files') && segments.at(-1) === 'duplicate')
    return one(filesDuplicated, (value) => ({ repositories: [named(value.target.type, value.target.name)] }))
  if (repository.type === 'bucket' && route === 'batch')
    return (values) => ({
      repositories: values.flatMap((value) => {
        const { sourceRepoType, sourceRepoId } = parse(bucketChange, value)
        return sourceRepoId === undefined || sourceRepoId === null ? [] : [named(sourceRepoType, sourceRepoId)]
      }),
    })
  return undefined
}

/**
 * JSON in UTF-8, such as `application/vnd.git-lfs+json; charset=utf-8`. As another type, or in another charset (UTF-7!),
 * the same bytes may say something else to the Hub.
 */
const understood = /^application\/(?:[a-z0-9.+-]*[+-])?(?:x-nd)?json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i

/** Throws a 400 where the body can't be understood. */
export function checkBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  target: Target,
  read: Reader,
): CheckedBody {
  if (!understood.test(contentType ?? ''))
    throw invalidBody(`its type is ${quoted(contentType ?? 'not given')}, and JSON in UTF-8 is expected`)
  const isLines = target.operation === 'repository-write' && target.route === 'batch'
  const values = isLines ? parseLines(textOf(bytes)) : [parseJson(textOf(bytes))]
  const text = values.map((value) => JSON.stringify(value)).join('\n') + (isLines ? '\n' : '')
  const found = read(values, target)
  return {
    ...found,
    repositories: [...found.repositories, ...values.flatMap((value) => furtherNames(value))],
    body: bodyOfBytes(Buffer.from(text)),
  }
}

function one<Schema extends z.ZodType>(
  schema: Schema,
  read: (value: z.output<Schema>) => Omit<CheckedBody, 'body'>,
): Reader {
  return ([value]) => read(parse(schema, value))
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (!result.success) {
    const [issue] = result.error.issues
    throw invalidBody(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`, result.error)
  }
  return result.data
}

function named(of: NamedRepository['type'], id: string): NamedRepository {
  if (!isRepositoryId(id)) throw invalidBody(`${JSON.stringify(id.slice(0, 200))} names no repository`)
  return { type: of, id }
}

/** Whose repository it would be without an organization depends on the token's owner, whom only the Hub knows. */
function fullName({ name, organization }: { name: string; organization?: string | null | undefined }): string {
  if (name.includes('/')) return name
  if (organization === undefined || organization === null || organization === '')
    throw invalidBody('`organization` is missing; give the full name, namespace/name')
  return `${organization}/${name}`
}

/** Keys of a future Hub: whatever is called a repository counts as one, of every type that it could be of. */
function furtherNames(value: unknown): NamedRepository[] {
  if (!(value instanceof Object)) return []
  return Object.entries(value).flatMap(([key, inner]): NamedRepository[] => {
    if (inner instanceof Object) return furtherNames(inner)
    const isKnown = known.has(key) || !/repo(?:sitory)?(?:_?id|_?name)?$/i.test(key)
    if (isKnown || typeof inner !== 'string' || !isRepositoryId(inner)) return []
    return types.map((of) => ({ type: of, id: inner }))
  })
}

const known = new Set(['fromRepo', 'toRepo', 'repository', 'sourceRepoId'])
const types = ['model', 'dataset', 'space'] as const

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalidBody('it is not UTF-8', cause)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalidBody('it is not JSON', cause)
  }
}

function parseLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseJson)
}
