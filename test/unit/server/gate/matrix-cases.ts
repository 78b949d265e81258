import { type Repository, requestKindOf } from '../../../../src/hub/index.ts'
import type { Rights, UpstreamAnswer, UpstreamRequest, UpstreamTraits } from '../../../../src/plugin/index.ts'
import type { Admission } from '../../../../src/server/gate/index.ts'
import { type Asked, gateWith, json, RecordingUpstream, requestTo } from './fixture.ts'

export const visibilities = ['public', 'gated', 'private'] as const
export type Visibility = (typeof visibilities)[number]

/** What each of the Hub's tokens may read there. */
export const readableAtHub: Readonly<Record<string, readonly Visibility[]>> = {
  none: ['public'],
  hf_poor: ['public'],
  hf_rich: ['public', 'gated', 'private'],
}

export const ownTokens = [
  { token: 'own-reads-org', repositories: ['org/**'] },
  { token: 'own-reads-other', repositories: ['elsewhere/*'] },
  { token: 'own-reads-all', repositories: ['**'] },
  { token: 'own-writes-org', repositories: ['org/**'], write: true },
  // Looks like one of the Hub's, and must not be taken for one.
  { token: 'hf_own_writes_all', repositories: ['**'], write: true },
]
export const clients: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  jwt: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x',
  password: `Basic ${Buffer.from('alice:secret').toString('base64')}`,
  poor: 'Bearer hf_poor',
  rich: 'Bearer hf_rich',
  'rich by git': `Basic ${Buffer.from('user:hf_rich').toString('base64')}`,
  ...Object.fromEntries(ownTokens.map(({ token }) => [token, `Bearer ${token}`])),
}

export const info = (visibility: Visibility) => ({
  _id: visibility,
  private: visibility === 'private',
  gated: visibility === 'gated' ? 'manual' : false,
})
export const repositoryOf = (visibility: Visibility): Repository => ({ type: 'model', id: `org/${visibility}` })

/** The requests, of each kind by at least one name; `V` is the repository's. */
export const requests: readonly Asked[] = [
  { url: '/org/V/resolve/main/config.json' },
  { url: '/api/models/org/V', method: 'HEAD' },
  { url: '/api/models/org/V/tree/main' },
  { url: '/api/models/org/V/xet-read-token/main' },
  { url: '/org/V.git/info/refs?service=git-upload-pack' },
  { url: '/org/V.git/info/lfs/objects/batch', method: 'POST', body: { operation: 'download', objects: [] } },
  { url: '/api/models/org/V/discussions' },
  { url: '/api/models?search=x' },
  { url: '/api/organizations/org/overview' },
  { url: '/api/validate-yaml', method: 'POST', body: {} },
  { url: '/api/models/org/V/xet-write-token/main' },
  { url: '/org/V.git/info/refs?service=git-receive-pack' },
  { url: '/org/V.git/info/lfs/objects/batch', method: 'POST', body: { operation: 'upload', objects: [] } },
  { url: '/api/models/org/V/commit/main', method: 'POST', body: {} },
  { url: '/api/repos/create', method: 'POST', body: { name: 'V', organization: 'org' } },
  { url: '/api/repos/move', method: 'POST', body: { fromRepo: 'org/V', toRepo: 'org/new' } },
  { url: '/api/models/org/V/settings' },
  { url: '/api/models/org/V/settings', method: 'PUT', body: {} },
  { url: '/api/whoami-v2' },
  { url: '/api/models/org/V/auth-check' },
  { url: '/api/jobs/org' },
  { url: '/health' },
]

export interface Configuration {
  readonly access: 'open' | 'hub' | 'tokens'
  readonly readOnly: boolean
  readonly serveNonPublic: boolean
  readonly traits: readonly Partial<UpstreamTraits>[]
}

export interface Outcome {
  readonly refusal: { readonly status: number; readonly code: string; readonly message: string } | undefined
  readonly admission: Admission | undefined
  readonly rights: readonly Rights[]
  /** Which stored repositories the client finds, whatever was asked for. */
  readonly shown: readonly Visibility[]
  /** With which rights each repository would be pulled, whatever was asked for: those that are. */
  readonly pulled: Readonly<Partial<Record<Visibility, Rights>>>
}

export const kinds = new Map(
  requests.map((asked) => {
    const { method, target } = requestTo(gateWith(), asked)
    const isDownload = JSON.stringify(asked.body)?.includes('download') === true
    return [asked, requestKindOf(method, target, isDownload ? 'download' : 'upload')]
  }),
)

export function answerAsHub({ target, rights }: UpstreamRequest): UpstreamAnswer {
  const token = rights.use === 'client' ? rights.token : 'none'
  const visibility = visibilities.find((one) => target.pathname.includes(`org/${one}`))
  const mayRead = visibility !== undefined && readableAtHub[token]?.includes(visibility) === true
  if (target.operation === 'auth-check') return json(mayRead ? 200 : 401, {})
  if (visibility === undefined || (!mayRead && visibility === 'private')) return json(401, { error: 'not found' })
  return json(200, info(visibility))
}

export function fullTraits(traits: Partial<UpstreamTraits>): UpstreamTraits {
  return new RecordingUpstream(traits).traits
}

export function* configurations(access: Configuration['access']): Generator<Configuration> {
  for (const readOnly of [false, true]) {
    for (const serveNonPublic of [false, true]) {
      for (const traits of upstreamTraits()) yield { access, readOnly, serveNonPublic, traits }
    }
  }
}

export function* upstreamTraits(): Generator<readonly Partial<UpstreamTraits>[]> {
  const plain = { hasServiceToken: false, serviceWrites: false }
  const reading = { hasServiceToken: true, serviceWrites: false }
  const writing = { hasServiceToken: true, serviceWrites: true }
  for (const clientTokens of [undefined, true, false]) {
    for (const service of [plain, reading, writing]) yield [{ name: 'first', ...service, clientTokens }]
    for (const otherTakes of [undefined, true]) {
      for (const [service, otherService] of [
        [reading, plain],
        [plain, writing],
        [writing, writing],
      ]) {
        for (const authority of [undefined, true]) {
          yield [
            { name: 'first', ...service, clientTokens },
            { name: 'second', ...otherService, clientTokens: otherTakes, authority },
          ]
        }
      }
    }
  }
}
