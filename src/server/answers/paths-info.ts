import { z } from 'zod'
import { UsageFailure } from '../../hub/index.ts'
import type { JsonAnswer, Question } from './answer.ts'
import { findEntry } from './tree-entries.ts'

const bodySchema = z.object({ paths: z.union([z.array(z.string()), z.string().transform((path) => [path])]) })

/** `POST /api/T/{repo}/paths-info/{rev}`: the entries of those paths that exist. */
export async function answerPathsInfo({
  hub,
  library,
  readBody,
}: Question<'paths-info'>): Promise<JsonAnswer | undefined> {
  const snapshot = await library.find(hub.repository, hub.revision)
  if (snapshot === undefined) return undefined
  const paths = pathsIn(await readBody())
  const entries = paths
    .map((path) => findEntry(snapshot, path.replace(/^\/|\/$/g, '')))
    .filter((entry) => entry !== undefined)
  const body = Buffer.from(JSON.stringify(entries))
  return { kind: 'json', storage: snapshot.storage.name, body, commit: snapshot.commit }
}

/** Python sends a form, JavaScript sends JSON. */
function pathsIn(body: { contentType: string; text: string }): string[] {
  if (!body.contentType.includes('json')) return new URLSearchParams(body.text).getAll('paths')
  let value: unknown
  try {
    value = JSON.parse(body.text)
  } catch (error) {
    throw new UsageFailure('the body is not valid JSON', { cause: error })
  }
  const parsed = bodySchema.safeParse(value)
  if (!parsed.success) throw new UsageFailure('the body must be {"paths": ["…"]}')
  return parsed.data.paths
}
