import type { Seen } from './token-hub.ts'
import { type Configuration, clientToken, poorToken, type Question, type Reply, serviceTokens } from './token-stage.ts'

export interface Row {
  readonly configuration: Configuration
  readonly question: Question
  readonly client: string
  readonly reply: Reply
  /** By upstream. */
  readonly seen: readonly (readonly Seen[])[]
}

/** What must not be, of one row. */
export function* violationsOf(row: Row): Generator<string> {
  const { configuration, question, client, reply, seen } = row
  const { access, upstreams, readOnly, serveNonPublic } = configuration
  const { kind } = question
  const isOwn = client.startsWith('own-')
  const given = { rich: clientToken, git: clientToken, poor: poorToken }[client]
  const authority = Math.max(
    0,
    upstreams.findIndex((upstream) => upstream.authority === true),
  )
  for (const [index, requests] of seen.entries()) {
    const upstream = upstreams[index] ?? {}
    for (const one of requests) {
      const where = `upstream ${index + 1} saw ${one.authorization ?? 'no credentials'} on ${one.method} ${one.url}`
      if (one.cookie !== undefined) yield `upstream ${index + 1} saw a cookie on ${one.url}`
      if (/own-/.test(JSON.stringify(one.rawHeaders) + one.body)) yield `${where}: an own token left`
      if (one.authorization === undefined) continue
      const [scheme, token = ''] = one.authorization.split(' ')
      if (scheme !== 'Bearer') yield `${where}: not taken apart`
      if (serviceTokens.some((service) => service === token)) {
        if (upstream.token !== token) yield `${where}: another upstream's token`
        if (access === 'hub') yield `${where}: where the Hub decides about each client`
        if (kind === 'list' || kind === 'account') yield `${where}: the service's rights for a ${kind}`
        if (access === 'tokens' && !isOwn) yield `${where}: for a client without an own token`
        const mayWrite =
          access === 'tokens' && client === 'own-writes-all' && upstream.serviceWrites === true && readOnly !== true
        if (kind === 'write' && !mayWrite) yield `${where}: the service's rights to write`
      } else if (token !== given) yield `${where}: a credential of nobody's`
      else if (!(upstream.clientTokens ?? index === authority))
        yield `${where}: an upstream that takes no clients' tokens`
    }
  }
  const wasAsked = seen.some((requests) => requests.length > 0)
  if (access === 'tokens' && kind !== 'own') {
    if (!isOwn && reply.status !== 401) yield 'answered without an own token'
    if (client === 'own-reads-elsewhere' && question.path !== '/api/whoami-v2' && reply.status !== 403)
      yield 'answered outside of its globs'
    if (kind === 'write' && client === 'own-reads-org' && reply.status !== 403) yield 'a token that only reads writes'
    if ((reply.status === 401 || reply.status === 403) && wasAsked && !isOwn)
      yield 'an upstream was asked for what is refused'
  }
  if (readOnly === true && kind === 'write' && (wasAsked || reply.status < 400))
    yield 'a write passed a read-only mirror'
  const found = /^stored (\w+)$/.exec(reply.text)?.[1]
  if (found !== undefined && found !== 'public') {
    const mayRead =
      access === 'open'
        ? serveNonPublic === true
        : access === 'hub'
          ? given === clientToken
          : client !== 'own-reads-elsewhere' && isOwn
    if (!mayRead) yield `read what is stored of a ${found} repository`
  }
  if (reply.headers.has('set-cookie')) yield "got the upstream's cookie"
  yield* missing(row, authority)
}

/** What must be, or a server that refuses everything would be perfect. */
export function* missing({ configuration, question, client, reply, seen }: Row, authority: number): Generator<string> {
  const { access, upstreams } = configuration
  const isStored = /^\/org\/(?:public|gated|private)\/resolve/.test(question.path)
  const reads =
    question.kind === 'read' && (access !== 'tokens' || ['own-reads-org', 'own-writes-all'].includes(client))
  if (!reads) return
  if (isStored && question.path.startsWith('/org/public/') && reply.text !== 'stored public')
    yield 'did not get what is everybody’s'
  if (isStored && access === 'tokens' && !reply.text.startsWith('stored')) yield 'did not get what its token opens'
  if (!question.path.includes('-absent')) return
  const last = seen.findLastIndex((requests) => requests.length > 0)
  const tokens = seen[last]?.filter(({ url }) => url === question.path).map(({ authorization }) => authorization)
  const service = upstreams[last]?.token
  const takes = upstreams[last]?.clientTokens ?? last === authority
  const own = { rich: clientToken, git: clientToken, poor: poorToken }[client]
  const expected = service !== undefined && access !== 'hub' ? service : own !== undefined && takes ? own : undefined
  if (tokens?.[0] !== (expected === undefined ? undefined : `Bearer ${expected}`))
    yield `upstream ${last + 1} was asked with ${tokens?.[0]}, and not with ${expected}`
}

export function refusalOf({ status, headers, text }: Reply): string {
  return `${status} ${headers.get('x-error-code')} ${text.replaceAll(/-absent/g, '').slice(0, 300)}`
}
