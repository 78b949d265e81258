import { expect } from 'chai'
import type { Upstream } from '../../../../src/plugin/index.ts'
import { AccessTokens } from '../../../../src/server/gate/access-tokens.ts'
import type { Client } from '../../../../src/server/gate/client.ts'
import type { AccessMode } from '../../../../src/server/gate/passage.ts'
import { authorityOf, UpstreamCredentials } from '../../../../src/server/gate/upstream-credentials.ts'
import { RecordingUpstream } from './fixture.ts'

const address = '::1'
const tokens = new AccessTokens([
  { token: 'reader', repositories: ['**'] },
  { token: 'writer', repositories: ['**'], write: true },
])
const own = (token: string): Client => {
  const accessToken = tokens.find(token)
  if (accessToken === undefined) throw new Error(`no token ${token}`)
  return { kind: 'own', accessToken, address }
}
const nobody: Client = { kind: 'none', address }
const hub: Client = { kind: 'hub', token: 'hf_a', address }
const everybody: readonly Client[] = [nobody, hub, { kind: 'other', address }, own('reader'), own('writer')]
const accesses: readonly AccessMode[] = ['open', 'hub', 'tokens']

const none = { use: 'none' }
const service = { use: 'service' }
const client = { use: 'client', token: 'hf_a' }

describe('the authority', () => {
  it('is the upstream that says so, else the first that does not deny it', () => {
    for (const [given, expected] of [
      [[], undefined],
      [[undefined], 0],
      [[undefined, undefined], 0],
      [[false, undefined], 1],
      [[undefined, true], 1],
      [[false, true], 1],
      [[true, true], 0],
      [[false, false], undefined],
      [[false], undefined],
    ] as const) {
      const upstreams: Upstream[] = given.map((authority) => new RecordingUpstream({ authority }))
      const found = authorityOf(upstreams)
      expect(found, given.join()).to.equal(expected === undefined ? undefined : upstreams[expected])
      expect(new UpstreamCredentials('open', upstreams).authority).to.equal(found)
    }
  })

  it('is asked with nobody’s rights, and nothing is pulled, where there is none', () => {
    for (const access of accesses) {
      const credentials = new UpstreamCredentials(access, [])
      for (const one of everybody) {
        expect(credentials.atAuthority('read', one)).to.deep.equal(none)
        expect(credentials.forQuestions(one)).to.deep.equal(none)
        expect(credentials.pullRights('read', one)).to.equal(undefined)
      }
    }
  })

  it('is asked about a client with its own token or none, and for its request as any upstream', () => {
    for (const access of accesses) {
      for (const hasServiceToken of [false, true]) {
        const credentials = new UpstreamCredentials(access, [new RecordingUpstream({ hasServiceToken })])
        const { authority } = credentials
        for (const one of everybody) {
          expect(credentials.forQuestions(one)).to.deep.equal(one === hub ? client : none)
          for (const kind of ['read', 'write', 'list', 'account'] as const)
            expect(credentials.atAuthority(kind, one)).to.deep.equal(
              authority && credentials.rightsAt(authority.traits, kind, one),
            )
        }
      }
    }
  })
})

describe('rights', () => {
  const with_ = (...services: readonly boolean[]) =>
    services.map((hasServiceToken) => new RecordingUpstream({ hasServiceToken }))

  it('are a service’s at some upstream, or at none', () => {
    for (const services of [[], [false], [true], [false, true], [true, false], [false, false]])
      expect(new UpstreamCredentials('open', with_(...services)).anyServiceToken).to.equal(services.includes(true))
  })

  it('to pull are the service’s where the mirror decides who reads, and the client’s where the Hub does', () => {
    for (const hasServiceToken of [false, true]) {
      const ofService = hasServiceToken ? service : none
      for (const access of accesses) {
        const credentials = new UpstreamCredentials(access, with_(hasServiceToken))
        for (const one of everybody) {
          const expected = {
            open: ofService,
            hub: one === hub ? client : none,
            tokens: one.kind === 'own' ? ofService : none,
          }[access]
          expect(credentials.pullRights('read', one), `${access} ${one.kind}`).to.deep.equal(expected)
          for (const kind of ['write', 'list', 'account', 'own', 'capability'] as const)
            expect(credentials.pullRights(kind, one)).to.equal(undefined)
        }
      }
    }
  })

  it('to write are the service’s for those alone whose own token writes, at an upstream that does', () => {
    for (const serviceWrites of [false, true]) {
      const upstream = new RecordingUpstream({ hasServiceToken: true, serviceWrites })
      for (const access of accesses) {
        const credentials = new UpstreamCredentials(access, [upstream])
        for (const one of everybody) {
          const mayWrite = access === 'tokens' && one.kind === 'own' && one.accessToken.write && serviceWrites
          const expected = mayWrite ? service : one === hub && access !== 'tokens' ? client : none
          expect(credentials.rightsAt(upstream.traits, 'write', one), access).to.deep.equal(expected)
          for (const kind of ['own', 'capability'] as const)
            expect(credentials.rightsAt(upstream.traits, kind, one)).to.deep.equal(none)
        }
      }
    }
  })

  it('to read are the service’s first, and the client’s where it is refused', () => {
    const [upstream] = with_(true)
    if (upstream === undefined) throw new Error('there is one')
    for (const one of everybody) {
      const open = new UpstreamCredentials('open', [upstream]).rightsAt(upstream.traits, 'read', one)
      expect(open).to.deep.equal(one === hub ? { use: 'service', otherwise: 'hf_a' } : service)
      const hubs = new UpstreamCredentials('hub', [upstream]).rightsAt(upstream.traits, 'read', one)
      expect(hubs).to.deep.equal(one === hub ? client : none)
    }
  })

  it('are a client’s only where its token looks like one, and the upstream takes it', () => {
    for (const [clientTokens, clientTokenPattern, isAuthority, isTaken] of [
      [undefined, /^hf_/, true, true],
      [undefined, /^hf_/, false, false],
      [true, /^hf_/, false, true],
      [false, /^hf_/, true, false],
      [true, /^api_/, true, false],
    ] as const) {
      const upstream = new RecordingUpstream({
        name: 'asked',
        clientTokens,
        clientTokenPattern,
        authority: isAuthority,
      })
      const credentials = new UpstreamCredentials('open', [upstream, new RecordingUpstream()])
      expect(credentials.rightsAt(upstream.traits, 'list', hub)).to.deep.equal(isTaken ? client : none)
    }
    // Nobody takes tokens where no upstream is the authority, unless told to.
    const denying = new RecordingUpstream({ authority: false })
    expect(new UpstreamCredentials('open', [denying]).rightsAt(denying.traits, 'list', hub)).to.deep.equal(none)
  })
})
