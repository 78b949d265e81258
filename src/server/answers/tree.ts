import { entryNotFound, UsageFailure } from '../../hub/index.ts'
import type { Reply } from '../reply.ts'
import { foldersOf } from './folders.ts'
import { isTrue, type Question } from './question.ts'
import { jsonReply } from './renderings.ts'

/** Entries a page, as at the Hub. */
const pageSize = 1000
const expandedPageSize = 100

/** `/api/T/{repo}/tree/{rev}[/{path}]`, in pages. */
export async function answerTree(question: Question<'tree'>): Promise<Reply | undefined> {
  const { target, query, library, renderings } = question
  const snapshot = await library.find(target.repository, target.revision)
  if (snapshot === undefined) return undefined
  if (target.path !== '' && !snapshot.directories.has(target.path))
    throw entryNotFound(target.path, target.revision, snapshot.commit)
  const isRecursive = isTrue(query.get('recursive'))
  const largest = isTrue(query.get('expand')) ? expandedPageSize : pageSize
  const limit = Math.min(largest, limitIn(query) ?? largest)
  const start = cursorIn(query)
  const end = start + limit
  const folders = foldersOf(snapshot)
  const listing = isRecursive ? folders.descendants(target.path) : folders.children(target.path)
  const page = `tree ${isRecursive} ${limit} ${start} ${target.path}`
  const rendered = renderings.once(snapshot, page, () => listing.entries(start, end))
  const { commit, storage } = snapshot
  if (end >= listing.total) return jsonReply(storage.name, rendered, { commit })
  const next = new URLSearchParams(query)
  next.set('cursor', Buffer.from(String(end)).toString('base64url'))
  return jsonReply(storage.name, rendered, { commit, headers: [['link', `<${target.pathname}?${next}>; rel="next"`]] })
}

function cursorIn(query: URLSearchParams): number {
  const cursor = query.get('cursor')
  if (cursor === null) return 0
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!/^\d{1,9}$/.test(text)) throw new UsageFailure('cursor: not one that this server made')
  return Number(text)
}

function limitIn(query: URLSearchParams): number | undefined {
  const text = query.get('limit')
  if (text === null) return undefined
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) throw new UsageFailure('limit: expected a whole number from 1')
  return Number(text)
}
