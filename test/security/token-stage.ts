import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type ServerProcess, startMirrorFace } from '../support/processes.ts'
import { type Seen, TokenHub } from './token-hub.ts'

export const serviceTokens = ['hf_service_of_first', 'hf_service_of_second'] as const
export const clientToken = 'hf_client_rich'
export const poorToken = 'hf_client_poor'
export const accessTokens = [
  { token: 'own-reads-org', repositories: ['org/**'] },
  { token: 'own-reads-elsewhere', repositories: ['elsewhere/*'] },
  { token: 'own-writes-all', repositories: ['**'], write: true },
]
export const page = 'https://evil.example'
export const listedPage = 'https://app.example'

export type Kind = 'read' | 'list' | 'write' | 'account' | 'own'

export interface Question {
  readonly kind: Kind
  readonly method?: string
  readonly path: string
  readonly body?: unknown
}

export interface Configuration {
  readonly access: 'open' | 'hub' | 'tokens'
  readonly serveNonPublic?: boolean
  readonly readOnly?: boolean
  readonly upstreams: readonly UpstreamOptions[]
}
export interface UpstreamOptions {
  readonly token?: string
  readonly serviceWrites?: boolean
  readonly clientTokens?: boolean
  readonly authority?: boolean
}

export interface Reply {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

export interface TokenStage extends AsyncDisposable {
  readonly server: ServerProcess
  ask(question: Question, authorization: string | undefined): Promise<{ reply: Reply; seen: Seen[][] }>
  originViolations(question: Question): Promise<string[]>
}

export async function setTokenStage(configuration: Configuration, folder: string): Promise<TokenStage> {
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
