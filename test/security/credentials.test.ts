import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { StandInHub } from '../hub/index.ts'
import { runMirrorFace, type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Seen, TokenHub } from './token-hub.ts'

/**
 * docs/credentials.md on the wire: a real server in front of Hubs that record who was said to ask. What must hold is
 * said in sentences about what they and the client received.
 */

const serviceTokens = ['hf_service_of_first', 'hf_service_of_second'] as const
const clientToken = 'hf_client_rich'
const poorToken = 'hf_client_poor'
const accessTokens = [
  { token: 'own-reads-org', repositories: ['org/**'] },
  { token: 'own-reads-elsewhere', repositories: ['elsewhere/*'] },
  { token: 'own-writes-all', repositories: ['**'], write: true },
]
const page = 'https://evil.example'
const listedPage = 'https://app.example'

const clients: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  jwt: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x',
  password: `Basic ${Buffer.from('alice:secret').toString('base64')}`,
  poor: `Bearer ${poorToken}`,
  rich: `Bearer ${clientToken}`,
  git: `Basic ${Buffer.from(`user:${clientToken}`).toString('base64')}`,
  ...Object.fromEntries(accessTokens.map(({ token }) => [token, `Bearer ${token}`])),
}

type Kind = 'read' | 'list' | 'write' | 'account' | 'own'

interface Question {
  readonly kind: Kind
  readonly method?: string
  readonly path: string
  readonly body?: unknown
}

const stored = ['public', 'gated', 'private']
const questions: readonly Question[] = [
  ...stored.flatMap((name): Question[] => [
    { kind: 'read', path: `/org/${name}/resolve/main/config.json` },
    // A file, and repositories, that are not mirrored.
    { kind: 'read', path: `/org/${name}-absent/resolve/main/config.json` },
    { kind: 'read', path: `/api/models/org/${name}` },
  ]),
  { kind: 'read', path: '/org/private.git/info/refs?service=git-upload-pack' },
  {
    kind: 'read',
    method: 'POST',
    path: '/org/private.git/info/lfs/objects/batch',
    body: { operation: 'download', objects: [] },
  },
  { kind: 'list', path: '/api/models?search=x' },
  { kind: 'write', path: '/org/private.git/info/refs?service=git-receive-pack' },
  { kind: 'write', path: '/api/models/org/private/xet-write-token/main' },
  {
    kind: 'write',
    method: 'POST',
    path: '/org/private.git/info/lfs/objects/batch',
    body: { operation: 'upload', objects: [] },
  },
  { kind: 'write', method: 'POST', path: '/api/models/org/private/commit/main', body: {} },
  { kind: 'write', method: 'POST', path: '/api/repos/create', body: { name: 'new', organization: 'org' } },
  { kind: 'account', path: '/api/whoami-v2' },
  { kind: 'account', path: '/api/models/org/private/settings' },
  { kind: 'account', path: '/api/jobs/org' },
  { kind: 'own', path: '/health' },
]

interface Configuration {
  readonly access: 'open' | 'hub' | 'tokens'
  readonly serveNonPublic?: boolean
  readonly readOnly?: boolean
  readonly upstreams: readonly UpstreamOptions[]
}
interface UpstreamOptions {
  readonly token?: string
  readonly serviceWrites?: boolean
  readonly clientTokens?: boolean
  readonly authority?: boolean
}

const configurations: readonly Configuration[] = (['open', 'hub', 'tokens'] as const).flatMap((access) => [
  { access, upstreams: [{}] },
  { access, upstreams: [{ token: serviceTokens[0] }] },
  { access, upstreams: [{ token: serviceTokens[0], serviceWrites: true }], readOnly: true },
  { access, upstreams: [{ token: serviceTokens[0], serviceWrites: true }, { token: serviceTokens[1] }] },
  { access, upstreams: [{ token: serviceTokens[0] }, { authority: true, clientTokens: true }] },
  { access, upstreams: [{}, { token: serviceTokens[1], clientTokens: true }], serveNonPublic: true },
])

interface Reply {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

interface Row {
  readonly configuration: Configuration
  readonly question: Question
  readonly client: string
  readonly reply: Reply
  /** By upstream. */
  readonly seen: readonly (readonly Seen[])[]
}

describe('credentials on the wire', function () {
  this.timeout(180_000)
  let storage: { path: string } & AsyncDisposable

  before(async () => {
    storage = await temporaryFolder()
    const hub = await new StandInHub().start()
    hub.tokens.add(clientToken)
    for (const name of stored) {
      const traits = { private: name === 'private', gated: name === 'gated' }
      hub.add({ type: 'model', id: `org/${name}`, ...traits }).commit({ 'config.json': `stored ${name}` })
      const args = ['mirror', `org/${name}`, '--token', 'hf_valid', '--upstream-url', hub.url]
      const finished = await runMirrorFace([...args, '--local-directory', join(storage.path, 'storage')])
      if (finished.code !== 0) throw new Error(finished.stderr)
    }
    await hub.stop()
  })
  after(async () => await storage[Symbol.asyncDispose]())

  for (const configuration of configurations) {
    it(JSON.stringify(configuration), async () => {
      await using stage = await setTokenStage(configuration, storage.path)
      const failures: string[] = []
      const replies = new Map<string, Reply>()
      for (const question of questions) {
        for (const [client, authorization] of Object.entries(clients)) {
          const row = { configuration, question, client, ...(await stage.ask(question, authorization)) }
          replies.set(`${question.method} ${question.path} ${client}`, row.reply)
          for (const violated of violationsOf(row))
            failures.push(
              `${client} asks ${question.method ?? 'GET'} ${question.path} (${row.reply.status}): ${violated}`,
            )
        }
        failures.push(...(await stage.originViolations(question)))
      }
      for (const client of Object.keys(clients)) {
        for (const name of stored) {
          const [here, there] = [name, `${name}-absent`].map((id) =>
            replies.get(`undefined /org/${id}/resolve/main/config.json ${client}`),
          )
          // Whoever is refused what is mirrored is told what would be said if it were not.
          if (here !== undefined && there !== undefined && here.status >= 400 && refusalOf(here) !== refusalOf(there))
            failures.push(
              `${client} is told apart org/${name} and what is not mirrored: ${refusalOf(here)} / ${refusalOf(there)}`,
            )
        }
      }
      if (!/own-|hf_|eyJ/.test(stage.server.output())) return report(failures)
      report([...failures, 'a token is in the log'])
    })
  }
})

function report(failures: readonly string[]): void {
  const shown = failures.slice(0, Number(process.env.SHOWN_FAILURES ?? 20)).join('\n        ')
  expect(failures.length, `${failures.length} violations:\n        ${shown}\n`).to.equal(0)
}

/** What must not be, of one row. */
function* violationsOf(row: Row): Generator<string> {
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
function* missing({ configuration, question, client, reply, seen }: Row, authority: number): Generator<string> {
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

function refusalOf({ status, headers, text }: Reply): string {
  return `${status} ${headers.get('x-error-code')} ${text.replaceAll(/-absent/g, '').slice(0, 300)}`
}

interface TokenStage extends AsyncDisposable {
  readonly server: ServerProcess
  ask(question: Question, authorization: string | undefined): Promise<{ reply: Reply; seen: Seen[][] }>
  originViolations(question: Question): Promise<string[]>
}

async function setTokenStage(configuration: Configuration, folder: string): Promise<TokenStage> {
  const { access, serveNonPublic, readOnly, upstreams } = configuration
  const hubs: TokenHub[] = []
  for (const [index] of upstreams.entries())
    hubs.push(await new TokenHub([clientToken, ...serviceTokens], index < upstreams.length - 1).start())
  const file = join(folder, 'mirrorface.yaml')
  const settings = {
    access,
    accessTokens,
    serveNonPublic: serveNonPublic ?? false,
    readOnly: readOnly ?? false,
    corsOrigins: [listedPage],
    localDirectory: join(folder, 'storage'),
    upstreams: upstreams.map((options, index) => ({
      plugin: 'hub',
      name: `hub-${index + 1}`,
      url: hubs[index]?.url,
      breakerFailures: 1e6,
      retries: 0,
      ...options,
    })),
  }
  await writeFile(file, stringify(settings))
  const server = await startMirrorFace(['--config', file])
  const fetchFrom = async (path: string, init: RequestInit): Promise<Reply> => {
    const response = await fetch(`${server.endpoint}${path}`, { redirect: 'follow', ...init })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  const initOf = ({ method = 'GET', body }: Question, headers: Record<string, string>): RequestInit => ({
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return {
    server,
    ask: async (question, authorization) => {
      for (const { seen } of hubs) seen.length = 0
      const headers = { cookie: 'token=hf_in_a_cookie', ...(authorization !== undefined && { authorization }) }
      const reply = await fetchFrom(question.path, initOf(question, headers))
      return { reply, seen: hubs.map(({ seen }) => [...seen]) }
    },
    originViolations: async (question) => {
      const isForEverybody =
        access === 'open' && upstreams.every(({ token }) => token === undefined) && serveNonPublic !== true
      const reads = question.kind === 'read' || question.kind === 'list'
      const found: string[] = []
      for (const [origin, expected] of [
        [page, isForEverybody && reads ? ['*'] : [null]],
        ['null', isForEverybody && reads ? ['*'] : [null]],
        [listedPage, isForEverybody && reads ? ['*'] : [listedPage]],
      ] as const) {
        const name = (question.method ?? 'GET') + question.path
        const preflight = await fetchFrom(question.path, {
          method: 'OPTIONS',
          headers: {
            origin,
            'access-control-request-method': question.method ?? 'GET',
            'access-control-request-headers': 'authorization',
          },
        })
        const asked = await fetchFrom(
          question.path,
          initOf(question, { origin, authorization: `Bearer ${clientToken}` }),
        )
        for (const [what, { headers, status }] of [
          ['preflight', preflight],
          ['request', asked],
        ] as const) {
          const allowed = headers.get('access-control-allow-origin')
          // An LFS batch may be a download: its preflight cannot know.
          const isUnknown = question.path.endsWith('/batch')
          if (!isUnknown && !(expected as readonly (string | null)[]).includes(allowed))
            found.push(`${what} of ${origin} for ${name} (${status}) allows ${allowed}, and not ${expected[0]}`)
          if (headers.get('access-control-allow-credentials') !== null)
            found.push(`${what} for ${name} allows credentials`)
          if (allowed !== '*' && !/\borigin\b/i.test(headers.get('vary') ?? ''))
            found.push(`${what} for ${name} does not vary by origin`)
        }
      }
      return found
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      for (const hub of hubs) await hub.stop()
    },
  }
}
