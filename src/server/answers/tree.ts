import { entryNotFound, UsageFailure } from '../../hub/index.ts'
import { isTrue, type JsonAnswer, type Question, renderedOnce } from './answer.ts'
import { entriesIn } from './tree-entries.ts'

/** Entries a page, as at the Hub. */
const pageSize = 1000
const expandedPageSize = 100

/** `/api/T/{repo}/tree/{rev}[/{path}]`, in pages. */
export async function answerTree({ hub, query, library }: Question<'tree'>): Promise<JsonAnswer | undefined> {
  const snapshot = await library.find(hub.repository, hub.revision)
  if (snapshot === undefined) return undefined
  if (hub.path !== '' && !snapshot.directories.has(hub.path))
    throw entryNotFound(hub.path, hub.revision, snapshot.commit)
  const recursive = isTrue(query.get('recursive'))
  const largest = isTrue(query.get('expand')) ? expandedPageSize : pageSize
  const limit = Math.min(largest, numberIn(query, 'limit', 1) ?? largest)
  const start = cursorIn(query)
  const page = `tree ${recursive} ${limit} ${start} ${hub.path}`
  const body = renderedOnce(snapshot, page, () => entriesIn(snapshot, hub.path, recursive).slice(start, start + limit))
  const total =
    recursive && hub.path === ''
      ? snapshot.files.size + snapshot.directories.size
      : entriesIn(snapshot, hub.path, recursive).length
  const answer: JsonAnswer = { kind: 'json', storage: snapshot.storage.name, body, commit: snapshot.commit }
  if (start + limit >= total) return answer
  const next = new URLSearchParams(query)
  next.set('cursor', Buffer.from(String(start + limit)).toString('base64url'))
  return { ...answer, nextQuery: next.toString() }
}

function cursorIn(query: URLSearchParams): number {
  const cursor = query.get('cursor')
  if (cursor === null) return 0
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!/^\d{1,9}$/.test(text)) throw new UsageFailure('cursor: not one that this server made')
  return Number(text)
}

function numberIn(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^\d{1,9}$/.test(text) || Number(text) < least)
    throw new UsageFailure(`${name}: expected a whole number from ${least}`)
  return Number(text)
}
