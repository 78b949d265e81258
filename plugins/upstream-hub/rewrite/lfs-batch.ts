import { bodyOfBytes, type RequestBody } from 'mirrorface/plugin'
import { z } from 'zod'
import type { WholeAnswer } from '../cache/cached-answer.ts'
import { isReadableJson, withJson } from './json-answer.ts'

/** An LFS batch answer, as far as it is rewritten (git-lfs api/batch.md). */
const actionSchema = z.looseObject({ href: z.string(), header: z.record(z.string(), z.unknown()).optional() })
const batchSchema = z.looseObject({
  objects: z.array(
    z.looseObject({
      oid: z.string().optional(),
      size: z.number().optional(),
      actions: z.record(z.string(), actionSchema).optional(),
    }),
  ),
})

export type LfsAction = z.infer<typeof actionSchema>

export interface LfsRewrite {
  /** A URL as the client can reach it. */
  toClient(url: string): string
  /** Where this mirror gives an object itself, for a download whose headers the client must not have or can't send. */
  toObject(oid: string, size: number, action: LfsAction): string | undefined
  /** The mirror's own rights were used: what they opened must not be handed to the client. */
  readonly isServices: boolean
}

/** The answer to an LFS batch with URLs that the client can reach. `undefined`: it can't be understood. */
export function rewriteLfsBatch<Answer extends WholeAnswer>(answer: Answer, rewrite: LfsRewrite): Answer | undefined {
  const batch = parseBatch(answer)
  if (batch === undefined) return undefined
  const objects = batch.objects.map((object) => {
    if (object.actions === undefined) return object
    const actions: Record<string, unknown> = {}
    for (const [name, action] of Object.entries(object.actions)) {
      const own = name === 'download' ? rewrite.toObject(object.oid ?? '', object.size ?? 0, action) : undefined
      actions[name] = own === undefined ? rewriteAction(action, rewrite) : { href: own }
    }
    return { ...object, actions }
  })
  return withJson(answer, { ...batch, objects })
}

function parseBatch({ headers, body }: WholeAnswer): z.infer<typeof batchSchema> | undefined {
  // Its type is application/vnd.git-lfs+json.
  if (!isReadableJson(headers)) return undefined
  try {
    return batchSchema.safeParse(JSON.parse(Buffer.from(body).toString('utf8'))).data
  } catch {
    return undefined
  }
}

function rewriteAction(action: LfsAction, { toClient, isServices }: LfsRewrite) {
  const header: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(action.header ?? {})) {
    if (isServices && name.toLowerCase() === 'authorization') continue
    // The Hub's multipart uploads name the URL of each part here.
    header[name] = typeof value === 'string' && /^https?:\/\//.test(value) ? toClient(value) : value
  }
  return { ...action, href: toClient(action.href), ...(action.header !== undefined && { header }) }
}

/** The request of a batch without Xet among its transfers, so that the Hub answers with URLs. */
export function withoutXetTransfer(body: RequestBody): RequestBody {
  if (body.bytes === undefined) return body
  try {
    const request: unknown = JSON.parse(Buffer.from(body.bytes).toString('utf8'))
    if (!(request instanceof Object) || !('transfers' in request) || !Array.isArray(request.transfers)) return body
    const transfers = request.transfers.filter((name) => name !== 'xet')
    return bodyOfBytes(Buffer.from(JSON.stringify({ ...request, transfers })))
  } catch {
    return body // the Hub says what is wrong with it
  }
}
