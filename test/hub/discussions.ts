import { randomBytes } from 'node:crypto'
import { json } from 'node:stream/consumers'
import { type Account, mayWrite } from './accounts.ts'
import { type Asked, type Handler, Refusal } from './asked.ts'
import type { HubRepository } from './repository.ts'

interface DiscussionEvent {
  readonly id: string
  readonly type: 'comment' | 'status-change' | 'commit' | 'title-change'
  readonly author: { readonly name: string }
  readonly createdAt: string
  readonly data: Record<string, unknown>
}

/** A discussion, or a pull request, whose commits are at `refs/pr/{num}`. */
export interface Discussion {
  readonly num: number
  title: string
  status: string
  readonly author: string
  readonly createdAt: string
  readonly isPullRequest: boolean
  /** The branch that a pull request is to be merged into. */
  readonly base: string
  mergeCommitId?: string
  readonly events: DiscussionEvent[]
}

function eventOf(account: Account, type: DiscussionEvent['type'], data: Record<string, unknown>): DiscussionEvent {
  const createdAt = new Date().toISOString()
  return { id: randomBytes(12).toString('hex'), type, author: { name: account.name }, createdAt, data }
}

function commentData(account: Account, raw: string, history: readonly unknown[] = []): Record<string, unknown> {
  const latest = { raw, html: `<p>${raw}</p>`, updatedAt: new Date().toISOString(), author: { name: account.name } }
  return { edited: history.length > 0, hidden: false, latest, numEdits: history.length, history: [...history, latest] }
}

export function signedIn({ account }: Asked): Account {
  if (account === undefined) throw new Refusal(401, undefined, 'Invalid username or password.')
  return account
}

/** Opens a discussion or a pull request; a pull request begins at the head of its base. */
export function openDiscussion(
  repository: HubRepository,
  account: Account,
  wanted: { title: string; description: string; pullRequest: boolean; base?: string; status?: string },
): Discussion {
  const base = wanted.base ?? 'main'
  const discussion: Discussion = {
    num: repository.discussions.length + 1,
    title: wanted.title,
    status: wanted.status ?? (wanted.pullRequest ? 'draft' : 'open'),
    author: account.name,
    createdAt: new Date().toISOString(),
    isPullRequest: wanted.pullRequest,
    base,
    events: [eventOf(account, 'comment', commentData(account, wanted.description))],
  }
  repository.discussions.push(discussion)
  if (wanted.pullRequest) repository.otherRefs.set(`refs/pr/${discussion.num}`, repository.branches.get(base) ?? '')
  return discussion
}

function summaryOf({ traits }: HubRepository, discussion: Discussion): Record<string, unknown> {
  const { num, title, status, isPullRequest, createdAt, author } = discussion
  const repo = { name: traits.id, type: traits.type }
  return { num, title, status, isPullRequest, createdAt, author: { name: author }, repo, numComments: 1, pinned: false }
}

function detailsOf(repository: HubRepository, discussion: Discussion): object {
  const { base, mergeCommitId, events } = discussion
  const pullRequest = {
    changes: { base: `refs/heads/${base}`, ...(mergeCommitId !== undefined && { mergeCommitId }) },
    filesWithConflicts: [],
    diff: '',
  }
  return { ...summaryOf(repository, discussion), events, ...(discussion.isPullRequest && pullRequest) }
}

function list({ url }: Asked, repository: HubRepository): object {
  const wanted = (name: string) => url.searchParams.get(name) ?? 'all'
  const [type, status, author] = [wanted('type'), wanted('status'), wanted('author')]
  const found = repository.discussions
    .filter(
      (one) =>
        (type === 'all' || one.isPullRequest === (type === 'pull_request')) &&
        (status === 'all' || ['open', 'draft'].includes(one.status) === (status === 'open')) &&
        (author === 'all' || one.author === author),
    )
    .reverse()
  const start = Number(url.searchParams.get('p') ?? 0) * 10
  const discussions = found.slice(start, start + 10).map((one) => summaryOf(repository, one))
  return { discussions, count: found.length, start, numClosedDiscussions: 0 }
}

async function create(asked: Asked, repository: HubRepository): Promise<object> {
  const account = signedIn(asked)
  const body = (await json(asked.request)) as { title: string; description: string; pullRequest: boolean }
  if (body.title.length < 3) throw new Refusal(400, undefined, 'Title must be at least 3 characters long')
  const { num } = openDiscussion(repository, account, body)
  return { num, pullRequest: body.pullRequest, url: `${asked.hub.url}/${repository.path}/discussions/${num}` }
}

function merge(repository: HubRepository, discussion: Discussion): object {
  const head = repository.resolve(`refs/pr/${discussion.num}`)
  if (!discussion.isPullRequest || head === undefined) throw new Refusal(400, undefined, 'Not a pull request')
  if (discussion.status === 'draft') throw new Refusal(403, undefined, 'Cannot merge a draft pull request')
  discussion.mergeCommitId = repository.commit(Object.fromEntries(head.files), {
    branch: discussion.base,
    title: discussion.title,
    author: discussion.author,
    date: new Date(),
  })
  discussion.status = 'merged'
  return { mergeCommitId: discussion.mergeCommitId }
}

/** `…/discussions/{num}/{comment|title|status|merge}` and `…/comment/{id}/{edit|hide}`. */
async function change(
  asked: Asked,
  repository: HubRepository,
  discussion: Discussion,
  [what, id, verb]: readonly string[],
): Promise<object> {
  const account = signedIn(asked)
  if (account.name !== discussion.author && !mayWrite(account, repository.traits.id) && what !== 'comment')
    throw new Refusal(403, undefined, 'Forbidden')
  if (what === 'merge') return merge(repository, discussion)
  const body = ((await json(asked.request).catch(() => undefined)) ?? {}) as Record<string, string>
  const text = body.comment ?? body.content ?? ''
  const record = (event: DiscussionEvent): object => {
    discussion.events.push(event)
    return what === 'comment' ? { newMessage: event } : what === 'title' ? { newTitle: event } : { newStatus: event }
  }
  if (what === 'title') {
    const event = eventOf(account, 'title-change', { from: discussion.title, to: body.title })
    discussion.title = body.title ?? ''
    return record(event)
  }
  if (what === 'status') {
    discussion.status = body.status ?? ''
    return record(eventOf(account, 'status-change', { status: body.status }))
  }
  if (what !== 'comment') throw new Refusal(404, undefined, 'Not found')
  if (id === undefined) return record(eventOf(account, 'comment', commentData(account, text)))
  const comment = discussion.events.find((event) => event.id === id)
  if (comment === undefined) throw new Refusal(404, undefined, 'Comment not found')
  if (verb === 'edit') Object.assign(comment.data, commentData(account, text, comment.data.history as unknown[]))
  else Object.assign(comment.data, { hidden: true, latest: { ...(comment.data.latest as object), raw: '', html: '' } })
  return { updatedComment: comment }
}

export const discussions: Handler = async (asked, repository, [num, ...rest]) => {
  if (num === undefined) return asked.request.method === 'POST' ? create(asked, repository) : list(asked, repository)
  const discussion = repository.discussions.find((one) => String(one.num) === num)
  if (discussion === undefined) throw new Refusal(404, undefined, 'Discussion not found')
  if (asked.request.method === 'POST') return await change(asked, repository, discussion, rest)
  return detailsOf(repository, discussion)
}

/** Notes a commit among the events of the pull request that a ref belongs to. */
export function noteCommit(
  repository: HubRepository,
  ref: string,
  account: Account,
  oid: string,
  subject: string,
): void {
  const discussion = repository.discussions.find(({ num }) => ref === `refs/pr/${num}`)
  discussion?.events.push(eventOf(account, 'commit', { oid, subject }))
}
