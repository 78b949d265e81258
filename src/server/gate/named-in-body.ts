import { z } from 'zod'
import {
  listOf,
  type Method,
  type NamedRepository,
  namedByBody,
  parseClientJson,
  parseClientJsonLines,
  quoted,
  type Target,
  UnreadableJson,
} from '../../hub/index.ts'
import { bodyOfBytes, type RequestBody } from '../../plugin/index.ts'
import type { GateRequest } from './admission.ts'
import { type NamingRules, namesIn } from './names-in-json.ts'
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

const lfsBatch = z.looseObject({
  operation: z.enum(['download', 'upload']),
  objects: listOf(hasOid, 'expected a list of objects, each with an `oid`'),
})

function hasOid(value: unknown): value is { readonly oid: string } {
  return value instanceof Object && 'oid' in value && typeof value.oid === 'string'
}

/** How a body is read that names repositories; `undefined`: none does. */
export function bodyReaderOf(method: Method, target: Target): Reader | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined
  switch (target.operation) {
    case 'lfs-batch':
      return ([value]) => {
        const { operation, objects } = parse(lfsBatch, value)
        return { repositories: [], lfs: { operation, oids: objects.map(({ oid }) => oid) } }
      }
    case 'repos-create':
    case 'repos-delete':
    case 'repos-move':
      return naming({ type: 'model', isRepository: true, bare: 'refused' })
    case 'repository-write':
      return writeReaderOf(target)
    case 'other':
      // What the Hub may add: `repos/restore`, `repos/copy`.
      return isReposRoute(target) ? naming({ type: 'model', isRepository: true, bare: 'refused' }) : undefined
    default:
      return undefined
  }
}

function isReposRoute({ segments: [api, repos] }: Target): boolean {
  return api?.toLowerCase() === 'api' && repos?.toLowerCase() === 'repos'
}

function writeReaderOf(target: Target<'repository-write'>): Reader | undefined {
  switch (namedByBody(target)) {
    case 'copy':
      return naming({ type: target.repository.type, isTypeFixed: true, isRepository: true, bare: 'refused' })
    case 'sources':
      return (values) => ({ repositories: namesIn(values, { type: 'model', isRepository: false, bare: 'canonical' }) })
    default:
      return undefined
  }
}

/** Of a body that must name one. */
function naming(rules: NamingRules): Reader {
  return ([value]) => {
    const repositories = namesIn(value, rules)
    if (repositories.length === 0) throw invalidBody('it names no repository; give namespace/name')
    return { repositories }
  }
}

/**
 * JSON in UTF-8, such as `application/vnd.git-lfs+json; charset=utf-8`. As another type, or in another charset (UTF-7!),
 * the same bytes may say something else to the Hub.
 */
const understood = /^application\/(?:[a-z0-9.+-]*[+-])?(?:x-nd)?json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i

/** Throws a 400 where the body can't be understood. */
export function checkBody(
  bytes: Uint8Array,
  { target, contentType, contentEncoding }: Pick<GateRequest, 'target' | 'contentType' | 'contentEncoding'>,
  read: Reader,
): CheckedBody {
  // Bytes that are JSON may be other JSON to who inflates them: DEFLATE has streams of printable characters only.
  if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity')
    throw invalidBody(`its Content-Encoding is ${quoted(contentEncoding)}; send it uncompressed`)
  if (!understood.test(contentType ?? ''))
    throw invalidBody(`its type is ${quoted(contentType ?? 'not given')}, and JSON in UTF-8 is expected`)
  const isLines = target.operation === 'repository-write' && namedByBody(target) === 'sources'
  const values = readJson(() => (isLines ? parseClientJsonLines(textOf(bytes)) : [parseClientJson(textOf(bytes))]))
  const text = values.map((value) => JSON.stringify(value)).join('\n') + (isLines ? '\n' : '')
  return { ...read(values, target), body: bodyOfBytes(Buffer.from(text)) }
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (!result.success) {
    const [issue] = result.error.issues
    throw invalidBody(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`, result.error)
  }
  return result.data
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalidBody('it is not UTF-8', cause)
  }
}

function readJson(parse: () => unknown[]): unknown[] {
  try {
    return parse()
  } catch (error) {
    if (error instanceof UnreadableJson) throw invalidBody(error.message, error.cause)
    throw error
  }
}
