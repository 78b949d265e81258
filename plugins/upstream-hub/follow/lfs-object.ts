import { bodyOfBytes, formatTarget, HubFailure, type Target, type UpstreamRequest } from 'mirrorface/plugin'
import { z } from 'zod'
import type { CachedAnswer, WholeAnswer } from '../cache/cached-answer.ts'

const lfsJson = 'application/vnd.git-lfs+json'

/** Where one object is, as a batch answers it (git-lfs api/batch.md). */
const downloadSchema = z.object({
  href: z.url({ protocol: /^https?$/ }),
  header: z.record(z.string(), z.string()).default({}),
})
const batchSchema = z.object({
  objects: z.tuple([z.object({ actions: z.object({ download: downloadSchema }) })]),
})

export interface LfsPlace {
  readonly href: string
  /** That the request to it must carry: the storage's own, never the Hub's. */
  readonly headers: Readonly<Record<string, string>>
}

/** The batch request that asks where an object is; a target may say its size in its query. */
export function batchRequestFor(request: UpstreamRequest, target: Target<'lfs-object'>): UpstreamRequest {
  const { repository, oid, query } = target
  const size = Number(new URLSearchParams(query).get('size') ?? '0')
  const object = { oid, size: Number.isSafeInteger(size) && size >= 0 ? size : 0 }
  const batch = { operation: 'download', transfers: ['basic'], objects: [object] }
  return {
    ...request,
    method: 'POST',
    target: formatTarget({ operation: 'lfs-batch', repository }),
    headers: { ...identity(request), accept: lfsJson, 'content-type': lfsJson },
    body: bodyOfBytes(Buffer.from(JSON.stringify(batch))),
    purpose: 'mirror',
  }
}

/** Throws where there is no such object. */
export function placeIn(answer: WholeAnswer, oid: string): LfsPlace {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(answer.body).toString('utf8'))
  } catch {
    json = undefined
  }
  const batch = batchSchema.safeParse(json)
  if (!batch.success) throw new HubFailure('EntryNotFound', 404, `the Hub has no LFS object ${oid} here`)
  const { href, header } = batch.data.objects[0].actions.download
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(header)) {
    // What frames a message is never another's to say.
    if (/^(?:x-[\w-]+|authorization|accept)$/i.test(name)) headers[name.toLowerCase()] = value
  }
  return { href, headers }
}

/** What the Hub says of the object before its content: the tag of an LFS file is its SHA-256. */
export function redirectTo({ href }: LfsPlace, target: Target<'lfs-object'>): Pick<CachedAnswer, 'headers'> {
  return {
    headers: [
      ['location', href],
      ['x-linked-etag', `"${target.oid}"`],
    ],
  }
}

function identity({ headers }: UpstreamRequest): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of ['user-agent', 'via', 'traceparent', 'tracestate']) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}
