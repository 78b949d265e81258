import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { listOf, parseClientJson, UnreadableJson, UsageFailure } from '../../hub/index.ts'
import type { Snapshot } from '../../mirror/index.ts'
import type { Reply } from '../reply.ts'
import { findEntry } from './folders.ts'
import type { Question } from './question.ts'
import { jsonReply, renderedJson } from './renderings.ts'

const bodySchema = z.object({
  paths: z.union([
    listOf((path) => typeof path === 'string', 'expected a list of paths'),
    z.string().transform((path) => [path]),
  ]),
})

/** Entries rendered before other requests get their turn: about a millisecond's work. */
const entriesAtOnce = 1000

/** `POST /api/T/{repo}/paths-info/{rev}`: the entries of those paths that exist, each once. */
export async function answerPathsInfo({
  target,
  library,
  readBody,
}: Pick<Question<'paths-info'>, 'target' | 'library' | 'readBody'>): Promise<Reply | undefined> {
  const snapshot = await library.find(target.repository, target.revision)
  if (snapshot === undefined) return undefined
  // No longer than the list of the commit's files: what is asked for twice is answered once.
  const paths = new Set(pathsIn(await readBody()).map((path) => path.replace(/^\/|\/$/g, '')))
  const json = await renderEntries(snapshot, paths)
  return jsonReply(snapshot.storage.name, renderedJson(json), { commit: snapshot.commit })
}

async function renderEntries(snapshot: Snapshot, paths: ReadonlySet<string>): Promise<string> {
  const rendered: string[] = []
  let looked = 0
  for (const path of paths) {
    const entry = findEntry(snapshot, path)
    if (entry !== undefined) rendered.push(JSON.stringify(entry))
    if (++looked % entriesAtOnce === 0) await nextTurn()
  }
  return `[${rendered.join()}]`
}

/** Python sends a form, JavaScript sends JSON. */
function pathsIn(body: { readonly contentType: string; readonly text: string }): readonly string[] {
  if (!body.contentType.includes('json')) return new URLSearchParams(body.text).getAll('paths')
  let value: unknown
  try {
    value = parseClientJson(body.text)
  } catch (error) {
    if (!(error instanceof UnreadableJson)) throw error
    throw new UsageFailure(`the body cannot be read: ${error.message}`, { cause: error.cause })
  }
  const parsed = bodySchema.safeParse(value)
  if (!parsed.success) throw new UsageFailure('the body must be {"paths": ["…"]}')
  return parsed.data.paths
}
