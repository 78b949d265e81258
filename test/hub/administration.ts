import { json } from 'node:stream/consumers'
import { type Account, mayWrite } from './accounts.ts'
import { type Asked, commitAt, type Handler, Refusal } from './asked.ts'
import { signedIn } from './discussions.ts'
import { defaultAttributes } from './large-files.ts'
import type { HubRepository, RepositoryType } from './repository.ts'

interface RepositoryRequest {
  readonly name: string
  readonly organization?: string | null
  readonly type?: RepositoryType | null
  readonly private?: boolean
  readonly visibility?: 'public' | 'private'
}

interface Settings {
  readonly private?: boolean
  readonly visibility?: 'public' | 'private'
  readonly gated?: 'auto' | 'manual' | false
}

/** Throws unless the account may change the repository. */
export function writing(asked: Asked, repository: HubRepository): Account {
  const account = signedIn(asked)
  if (!mayWrite(account, repository.traits.id)) throw new Refusal(403, undefined, 'Forbidden: you are not its owner')
  return account
}

function isPrivate({ private: flag, visibility }: Settings): boolean | undefined {
  return visibility === undefined ? flag : visibility === 'private'
}

async function create(asked: Asked): Promise<object> {
  const { hub, request } = asked
  const account = signedIn(asked)
  const body = (await json(request)) as RepositoryRequest
  const namespace = body.organization ?? account.name
  const id = `${namespace}/${body.name}`
  const type = body.type ?? 'model'
  if (!mayWrite(account, id))
    throw new Refusal(403, undefined, `You don't have the rights to create a ${type} under ${namespace}`)
  const existing = hub.find(`${type}s`, id)
  if (existing === undefined) {
    const repository = hub.add({ type, id, xet: true })
    repository.traits.private = isPrivate(body) ?? account.privateByDefault?.includes(namespace) ?? false
    const card = type === 'space' ? { 'README.md': `---\ntitle: ${body.name}\n---\n` } : {}
    const files = { '.gitattributes': defaultAttributes, ...card }
    repository.commit(files, { title: 'initial commit', author: account.name, date: new Date() })
  } else asked.response.statusCode = 409
  const url = `${hub.url}/${(existing ?? hub.find(`${type}s`, id))?.path}`
  // Clients take the address from the refusal, too.
  return existing === undefined ? { url, name: id, id } : { error: `You already created this ${type} repo`, url }
}

/** A repository named in a request's body, which may be changed by who asks. */
function named(asked: Asked, type: RepositoryType, id: string): HubRepository {
  const account = signedIn(asked)
  const repository = asked.hub.find(`${type}s`, id)
  if (repository === undefined || (repository.traits.private === true && !mayWrite(account, id)))
    throw new Refusal(404, 'RepoNotFound', 'Repository not found')
  writing(asked, repository)
  return repository
}

async function remove(asked: Asked): Promise<object> {
  const body = (await json(asked.request)) as RepositoryRequest
  const type = body.type ?? 'model'
  const { traits } = named(asked, type, `${body.organization ?? signedIn(asked).name}/${body.name}`)
  asked.hub.repositories.delete(`${type}s/${traits.id}`)
  return {}
}

async function move(asked: Asked): Promise<object> {
  const { hub } = asked
  const body = (await json(asked.request)) as { fromRepo: string; toRepo: string; type?: RepositoryType }
  const type = body.type ?? 'model'
  const repository = named(asked, type, body.fromRepo)
  if (!mayWrite(signedIn(asked), body.toRepo)) throw new Refusal(403, undefined, 'Forbidden')
  if (hub.find(`${type}s`, body.toRepo) !== undefined)
    throw new Refusal(409, undefined, `A ${type} repository called ${body.toRepo} already exists`)
  hub.repositories.delete(`${type}s/${repository.traits.id}`)
  hub.renamed.set(`${type}s/${repository.traits.id}`, body.toRepo)
  const moved = hub.add({ ...repository.traits, id: body.toRepo })
  for (const field of ['commits', 'branches', 'tags', 'otherRefs'] as const)
    for (const [key, value] of repository[field]) (moved[field] as Map<string, unknown>).set(key, value)
  moved.discussions.push(...repository.discussions)
  return {}
}

/** `/api/repos/{create,delete,move}`, which name their repository in the body. */
export const repositoryActions: Record<string, (asked: Asked) => Promise<object>> = { create, delete: remove, move }

export const settings: Handler = async (asked, repository) => {
  writing(asked, repository)
  const body = (await json(asked.request)) as Settings
  const hidden = isPrivate(body)
  if (hidden !== undefined) repository.traits.private = hidden
  if (body.gated !== undefined) repository.traits.gated = body.gated
  return {}
}

/** `POST` makes it, from `startingPoint`; `DELETE` removes it. */
export const branch: Handler = async (asked, repository, [name = '']) => {
  writing(asked, repository)
  const { branches } = repository
  if (asked.request.method === 'DELETE') {
    if (name === 'main') throw new Refusal(400, undefined, 'Cannot delete refs/heads/main')
    if (!branches.delete(name)) throw new Refusal(404, 'RevisionNotFound', `Invalid rev id: refs/heads/${name}`)
    return {}
  }
  const body = (await json(asked.request).catch(() => ({}))) as { startingPoint?: string }
  if (name.startsWith('refs/')) throw new Refusal(400, undefined, `Invalid reference for a branch: ${name}`)
  if (branches.has(name)) throw new Refusal(409, undefined, `Reference refs/heads/${name} already exists`)
  branches.set(name, commitAt(repository, body.startingPoint ?? 'main').id)
  return {}
}

/** `POST …/tag/{revision}` names a revision, `DELETE …/tag/{name}` forgets it. */
export const tag: Handler = async (asked, repository, [revision = '']) => {
  writing(asked, repository)
  const { tags } = repository
  if (asked.request.method === 'DELETE') {
    if (!tags.delete(revision)) throw new Refusal(404, 'RevisionNotFound', `Invalid rev id: refs/tags/${revision}`)
    return {}
  }
  const commit = commitAt(repository, revision)
  const { tag: name } = (await json(asked.request)) as { tag: string }
  if (/[\s~^:?*[\\]/.test(name)) throw new Refusal(400, undefined, `Invalid tag name: ${name}`)
  if (tags.has(name)) throw new Refusal(409, undefined, `Tag ${name} already exists`)
  tags.set(name, commit.id)
  return {}
}

/** The branch's files in one commit without a parent. */
export const superSquash: Handler = async (asked, repository, [name = '']) => {
  const account = writing(asked, repository)
  const commit = commitAt(repository, name)
  const { message } = (await json(asked.request)) as { message: string }
  const isBranch = repository.branches.has(name)
  repository.commit(Object.fromEntries(commit.files), {
    ...(isBranch ? { branch: name } : { ref: name }),
    title: message,
    author: account.name,
    parent: null,
    date: new Date(),
  })
  return {}
}

/** `…/user-access-request/{accepted|pending|rejected}` lists; `handle` and `grant` change. */
export const accessRequests: Handler = async (asked, repository, [what = '']) => {
  writing(asked, repository)
  const requests = repository.accessRequests
  if (asked.request.method === 'GET')
    return [...requests]
      .filter(([, status]) => status === what)
      .map(([user, status]) => ({
        requestId: Buffer.from(user).toString('hex'),
        user: { user, fullname: user },
        timestamp: new Date().toISOString(),
        status,
        fields: {},
      }))
  const body = (await json(asked.request)) as { user?: string; requestId?: string; status?: string }
  const user = body.user ?? Buffer.from(body.requestId ?? '', 'hex').toString()
  const status = what === 'grant' ? 'accepted' : (body.status ?? '')
  if (what === 'grant' ? requests.has(user) : requests.get(user) === status || !requests.has(user))
    throw new Refusal(400, undefined, `The access request of ${user} cannot become ${status}`)
  requests.set(user, status)
  return {}
}
