import { expect } from 'chai'
import { Failure, type Method, type Repository, requestKindOf } from '../../../../src/hub/index.ts'
import type { Rights, UpstreamRequest, UpstreamTraits } from '../../../../src/plugin/index.ts'
import { type Admission, authorityOf } from '../../../../src/server/gate/index.ts'
import { type Asked, gateWith, json, ListedLibrary, RecordingUpstream, requestTo } from './fixture.ts'

/**
 * Every combination of docs/credentials.md, put to the gate itself. What must hold is said here in sentences about
 * outcomes, and not as another copy of the tables.
 */

const visibilities = ['public', 'gated', 'private'] as const
type Visibility = (typeof visibilities)[number]

/** What each of the Hub's tokens may read there. */
const readableAtHub: Readonly<Record<string, readonly Visibility[]>> = {
  none: ['public'],
  hf_poor: ['public'],
  hf_rich: ['public', 'gated', 'private'],
}

const ownTokens = [
  { token: 'own-reads-org', repositories: ['org/**'] },
  { token: 'own-reads-other', repositories: ['elsewhere/*'] },
  { token: 'own-reads-all', repositories: ['**'] },
  { token: 'own-writes-org', repositories: ['org/**'], write: true },
  // Looks like one of the Hub's, and must not be taken for one.
  { token: 'hf_own_writes_all', repositories: ['**'], write: true },
]
const clients: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  jwt: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x',
  password: `Basic ${Buffer.from('alice:secret').toString('base64')}`,
  poor: 'Bearer hf_poor',
  rich: 'Bearer hf_rich',
  'rich by git': `Basic ${Buffer.from('user:hf_rich').toString('base64')}`,
  ...Object.fromEntries(ownTokens.map(({ token }) => [token, `Bearer ${token}`])),
}

const info = (visibility: Visibility) => ({
  _id: visibility,
  private: visibility === 'private',
  gated: visibility === 'gated' ? 'manual' : false,
})
const repositoryOf = (visibility: Visibility): Repository => ({ type: 'model', id: `org/${visibility}` })

/** The requests, of each kind by at least one name; `V` is the repository's. */
const requests: readonly Asked[] = [
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

interface Configuration {
  readonly access: 'open' | 'hub' | 'tokens'
  readonly readOnly: boolean
  readonly serveNonPublic: boolean
  readonly traits: readonly Partial<UpstreamTraits>[]
}

interface Outcome {
  readonly refusal: { readonly status: number; readonly code: string; readonly message: string } | undefined
  readonly admission: Admission | undefined
  readonly rights: readonly Rights[]
  /** Which stored repositories the client finds, whatever was asked for. */
  readonly shown: readonly Visibility[]
}

describe('the matrix of credentials', function () {
  this.timeout(240_000)

  for (const access of ['open', 'hub', 'tokens'] as const) {
    it(`holds with access: ${access}`, async () => {
      let combinations = 0
      for (const configuration of configurations(access)) {
        for (const asked of requests) {
          const outcomes = new Map<string, Outcome>()
          for (const client of Object.keys(clients)) {
            const outcome = await outcomeOf(configuration, asked, client)
            outcomes.set(client, outcome)
            combinations++
            try {
              assertInvariants(configuration, asked, client, outcome)
            } catch (error) {
              throw new Error(
                `${client} asks ${asked.method ?? 'GET'} ${asked.url} with ${JSON.stringify(configuration)}`,
                {
                  cause: error,
                },
              )
            }
          }
          assertCompared(configuration, outcomes)
        }
      }
      console.log(`      ${combinations} combinations`)
    })
  }
})

/** What must hold of one client's request. */
function assertInvariants(configuration: Configuration, asked: Asked, client: string, outcome: Outcome): void {
  const { access, readOnly, traits, serveNonPublic } = configuration
  const { admission, refusal, rights, shown } = outcome
  const method: Method = asked.method ?? 'GET'
  const kind = kinds.get(asked) ?? 'account'
  const isOwn = client.includes('own')
  const isHub = client === 'poor' || client.startsWith('rich')
  const token = client === 'poor' ? 'hf_poor' : 'hf_rich'
  const authority = authorityOf(traits.map((one) => ({ traits: fullTraits(one) })))?.traits.name

  if (refusal !== undefined) {
    expect(refusal.status).to.be.oneOf([401, 403])
    // A refusal says nothing of what is stored: it is made before anything is looked up.
    expect(refusal.message).to.not.match(/stored|mirrored here/)
  }
  if (kind === 'own') return void expect(refusal).to.equal(undefined)

  // No own token leaves; no client's token goes anywhere but where it is taken.
  expect(JSON.stringify([rights, admission?.pullRights])).to.not.match(/own/)
  rights.forEach((right, index) => {
    const upstream = fullTraits(traits[index] ?? {})
    const sent = right.use === 'client' ? right.token : right.use === 'service' ? right.otherwise : undefined
    if (sent !== undefined) {
      expect(isHub).to.equal(true)
      expect(sent).to.equal(token)
      expect(upstream.clientTokens ?? upstream.name === authority).to.equal(true)
    }
    if (right.use !== 'service') return
    // The service's rights: never unasked, never where the Hub decides, never for lists and accounts.
    expect(upstream.hasServiceToken).to.equal(true)
    expect(access).to.not.equal('hub')
    expect(kind).to.be.oneOf(['read', 'write'])
    if (access === 'tokens') expect(isOwn).to.equal(true)
    if (kind === 'write') {
      expect(access).to.equal('tokens')
      expect(client).to.match(/writes/)
      expect(upstream.serviceWrites).to.equal(true)
      expect(readOnly).to.equal(false)
    }
  })
  if (admission?.pullRights !== undefined) {
    expect(kind).to.equal('read')
    if (access === 'hub') expect(admission.pullRights.use).to.not.equal('service')
    // What everybody reads afterwards is not fetched with one client's rights.
    else expect(admission.pullRights.use).to.not.equal('client')
  }

  // Who may not pass does not, and who may does.
  const mayChange = kind === 'write' || (kind === 'account' && method !== 'GET' && method !== 'HEAD')
  if (readOnly && mayChange) expect(admission).to.equal(undefined)
  if (access !== 'tokens') expect(refusal === undefined).to.equal(!(readOnly && mayChange))
  else if (!isOwn) expect(refusal?.status).to.equal(401)
  else {
    const covers = client !== 'own-reads-other'
    const everything = client.endsWith('all')
    const passes = {
      read: covers,
      list: everything || asked.url.includes('validate') || (asked.url.includes('overview') && covers),
      write: covers && client.includes('writes') && !readOnly,
      account: asked.url.includes('whoami') || (asked.url.includes('auth-check') && covers),
      capability: false,
    }[kind]
    expect(refusal?.status).to.equal(passes ? undefined : 403)
  }

  // A token gets what it is for, or nothing would ever be answered.
  if (admission !== undefined && kind === 'read') {
    rights.forEach((right, index) => {
      const upstream = fullTraits(traits[index] ?? {})
      const isTaken = isHub && (upstream.clientTokens ?? upstream.name === authority)
      if (upstream.hasServiceToken && access !== 'hub')
        expect(right).to.deep.equal(isTaken ? { use: 'service', otherwise: token } : { use: 'service' })
      else expect(right).to.deep.equal(isTaken ? { use: 'client', token } : { use: 'none' })
    })
  }

  // What is stored is shown to whom it belongs.
  if (admission !== undefined) {
    expect(admission.isPublic).to.equal(access === 'open' && kind === 'read')
    if (access === 'open') expect(shown).to.deep.equal(serveNonPublic ? visibilities : ['public'])
    if (access === 'tokens') expect(shown).to.deep.equal(visibilities)
    if (access === 'hub') {
      const first = traits.map(fullTraits).find(({ name }) => name === authority)
      const isAsked = isHub && first !== undefined && (first.clientTokens ?? true)
      expect(shown).to.deep.equal(readableAtHub[isAsked ? token : 'none'])
    }
  }
}

/** What must hold between clients. */
function assertCompared({ access }: Configuration, outcomes: ReadonlyMap<string, Outcome>): void {
  const none = comparable(outcomes.get('none'))
  for (const [client, outcome] of outcomes) {
    // What is no token of anybody's counts as none; an own one does where it opens nothing.
    const countsAsNone = client === 'jwt' || client === 'password' || (client.includes('own') && access !== 'tokens')
    if (countsAsNone) expect(comparable(outcome), client).to.equal(none)
  }
  expect(comparable(outcomes.get('rich by git'))).to.equal(comparable(outcomes.get('rich')))
}

function comparable(outcome: Outcome | undefined): string {
  return JSON.stringify([outcome?.refusal, outcome?.rights, outcome?.shown, outcome?.admission?.pullRights])
}

const kinds = new Map(
  requests.map((asked) => {
    const { method, target } = requestTo(gateWith(), asked)
    const isDownload = JSON.stringify(asked.body)?.includes('download') === true
    return [asked, requestKindOf(method, target, isDownload ? 'download' : 'upload')]
  }),
)

/** A gate is made for each configuration once; what the Hub said of one client is known to it afterwards, as in life. */
let made:
  | { configuration: Configuration; gate: ReturnType<typeof gateWith>; upstreams: RecordingUpstream[] }
  | undefined

async function outcomeOf(configuration: Configuration, asked: Asked, client: string): Promise<Outcome> {
  if (made?.configuration !== configuration) {
    const upstreams = configuration.traits.map((traits) => new RecordingUpstream(fullTraits(traits), answerAsHub))
    const library = new ListedLibrary(
      ...visibilities.map((one) => ({ repository: repositoryOf(one), info: info(one) })),
    )
    made = {
      configuration,
      upstreams,
      gate: gateWith({ ...configuration, upstreams, library, accessTokens: ownTokens }),
    }
  }
  const { gate, upstreams } = made
  let admission: Admission | undefined
  let refusal: Outcome['refusal']
  try {
    const url = asked.url.replace('V', 'private')
    admission = await gate.admit(requestTo(gate, { ...asked, url, authorization: clients[client] }))
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    refusal = { status: error.status, code: error.code, message: error.message }
  }
  const shown: Visibility[] = []
  for (const visibility of visibilities) {
    const repository = repositoryOf(visibility)
    if ((await admission?.library.find(repository, 'main')) !== undefined) shown.push(visibility)
  }
  for (const [index, upstream] of upstreams.entries()) {
    // The gate's own questions: to the authority, with the client's rights or none.
    if (upstream.asked.length > 0) expect(upstream.traits).to.equal(authorityOf(upstreams)?.traits, String(index))
    for (const { rights, purpose } of upstream.asked) {
      expect(purpose).to.equal('mirror')
      expect(rights.use).to.not.equal('service')
    }
    upstream.asked.length = 0
  }
  const rights = admission === undefined ? [] : upstreams.map(({ traits }) => (admission as Admission).rightsAt(traits))
  return { admission, refusal, rights, shown }
}

function answerAsHub({ target, rights }: UpstreamRequest) {
  const token = rights.use === 'client' ? rights.token : 'none'
  const visibility = visibilities.find((one) => target.pathname.includes(`org/${one}`))
  const mayRead = visibility !== undefined && readableAtHub[token]?.includes(visibility) === true
  if (target.operation === 'auth-check') return json(mayRead ? 200 : 401, {})
  if (visibility === undefined || (!mayRead && visibility === 'private')) return json(401, { error: 'not found' })
  return json(200, info(visibility))
}

function fullTraits(traits: Partial<UpstreamTraits>): UpstreamTraits {
  return new RecordingUpstream(traits).traits
}

function* configurations(access: Configuration['access']): Generator<Configuration> {
  for (const readOnly of [false, true]) {
    for (const serveNonPublic of [false, true]) {
      for (const traits of upstreamTraits()) yield { access, readOnly, serveNonPublic, traits }
    }
  }
}

function* upstreamTraits(): Generator<readonly Partial<UpstreamTraits>[]> {
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
