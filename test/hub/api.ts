import { text } from 'node:stream/consumers'
import { mayWrite } from './accounts.ts'
import { accessRequests, branch, repositoryActions, settings, superSquash, tag } from './administration.ts'
import { type Asked, commitAt, type Handler, page, Refusal, sendJson } from './asked.ts'
import { commit, preupload } from './commits.ts'
import { discussions, signedIn } from './discussions.ts'
import { completeMultipart, lfsFiles } from './large-files.ts'
import { commits, info, infoOf, pathsInfo, refs, tree, treeSize } from './metadata.ts'
import { sendXetToken } from './xet.ts'

/** What follows `/api/{type}s/{id}/`; an absent word is `revision`. */
export const operations: Record<string, Handler> = {
  revision: info,
  tree,
  'paths-info': pathsInfo,
  treesize: treeSize,
  refs,
  commits,
  discussions,
  preupload,
  commit,
  settings,
  branch,
  tag,
  'super-squash': superSquash,
  'lfs-files': lfsFiles,
  'user-access-request': accessRequests,
  'auth-check': ({ response }) => void response.writeHead(200).end(),
  like: (asked) => {
    signedIn(asked)
    return {}
  },
  'xet-read-token': ({ hub, response }, repository, [revision = 'main']) => {
    commitAt(repository, revision)
    return sendXetToken(response, hub.cdnUrl)
  },
}

/** What belongs to no repository, by the path below `/api/`. */
const singles: Record<string, (asked: Asked) => unknown> = {
  'whoami-v2': (asked) => {
    const { name, fullname, organizations } = signedIn(asked)
    return {
      type: 'user',
      name,
      fullname,
      isPro: false,
      orgs: organizations.map((organization) => ({ type: 'org', roleInOrg: 'admin', ...organization })),
      auth: { type: 'access_token', accessToken: { displayName: 'stand-in', role: 'write' } },
    }
  },
  'validate-yaml': async ({ request }) => validateCard(JSON.parse(await text(request)).content ?? ''),
  complete_multipart: completeMultipart,
  tasks: () => ({}),
}

/** Cards' metadata: only whether it is there, and an object. */
function validateCard(content: string): object {
  const [, metadata] = /^\s*---\n([\s\S]*?)\n---/.exec(content) ?? []
  if (metadata === undefined)
    return { errors: [], warnings: [{ message: 'empty or missing yaml metadata in repo card' }] }
  // The Hub wants a list of results there.
  if (/^model-index: *\S/m.test(metadata))
    return { errors: [{ message: '"model-index" must be an array' }], warnings: [] }
  const isBroken = metadata.split('\n').some((line) => !/^(?:[\w-]+:.*|\s*-.*|\s+.*|#.*|)$/.test(line))
  return { errors: isBroken ? [{ message: 'Invalid YAML' }] : [], warnings: [] }
}

/** `GET /api/{type}s`: those that the account may see, the newest first. */
function list(asked: Asked, collection: string): void {
  const { account, hub, response, url } = asked
  const [author, search] = [url.searchParams.get('author'), url.searchParams.get('search')?.toLowerCase() ?? '']
  const found = [...hub.repositories.values()].filter(({ traits }) => {
    const isSeen = traits.private !== true || (account !== undefined && mayWrite(account, traits.id))
    const isAuthors = author === null || traits.id.split('/')[0] === author
    return isSeen && isAuthors && `${traits.type}s` === collection && traits.id.toLowerCase().includes(search)
  })
  const isWhole = ['full', 'expand', 'expand[]'].some((name) => url.searchParams.has(name))
  const items = page(asked, found.reverse(), 1000).map((repository) => {
    const head = repository.resolve('main')
    if (head === undefined) return { id: repository.traits.id }
    const { siblings, sha, ...brief } = infoOf(repository, head, url)
    return isWhole ? { ...brief, sha, siblings } : brief
  })
  sendJson(response, items)
}

/** Everything below `/api/` but `resolve-cache`; `segments` are what follows, still encoded. */
export async function answerApi(asked: Asked, segments: readonly string[]): Promise<void> {
  const { hub, request, response } = asked
  const given = segments.at(-1) === '' ? segments.slice(0, -1) : segments
  const [first = '', second = ''] = given.map((segment) => segment.toLowerCase())
  const single = singles[first] ?? (first === 'repos' ? repositoryActions[second] : undefined)
  if (single !== undefined) return sendJson(response, await single(asked), response.statusCode)
  if (!hub.collections.includes(first))
    throw new Refusal(404, undefined, 'Sorry, we can’t find the page you are looking for.')
  if (given.length === 1) return list(asked, first)
  const length = hub.idLength([first, ...given.slice(1)])
  const id = given
    .slice(1, length + 1)
    .map(decodeURIComponent)
    .join('/')
  const repository = hub.enter(asked, first, id)
  if (repository === undefined) return
  const [word = 'revision', ...rest] = given.slice(length + 1)
  const handler = operations[word.toLowerCase()]
  if (handler === undefined) throw new Refusal(404, undefined, 'Sorry, we can’t find the page you are looking for.')
  // Some clients send `refs/pr/1` as three segments.
  const whole =
    rest[0] === 'refs' && rest.length > 2 && word !== 'discussions'
      ? [rest.slice(0, 3).join('/'), ...rest.slice(3)]
      : rest
  const value = await handler(asked, repository, whole.map(decodeURIComponent))
  if (value !== undefined && !response.headersSent) sendJson(response, value, response.statusCode)
  request.resume()
}
