import { expect } from 'chai'
import { allowedOriginFor, type OriginPolicy } from '../../../../src/server/gate/cross-origin.ts'
import { isExpectedHost } from '../../../../src/server/gate/host-check.ts'
import { gateWith, RecordingUpstream, requestTo } from './fixture.ts'

const kinds = ['read', 'list', 'write', 'account', 'own', 'capability'] as const
const accesses = ['open', 'hub', 'tokens'] as const

describe('pages of other origins', () => {
  it('may read what is everybody’s, and nothing else unless their origin is listed', () => {
    for (const access of accesses) {
      for (const hasServiceToken of [false, true]) {
        for (const serveNonPublic of [false, true]) {
          for (const kind of kinds) {
            const policy: OriginPolicy = {
              access,
              hasServiceToken,
              serveNonPublic,
              corsOrigins: ['https://app.example'],
            }
            const isForEverybody = access === 'open' && !hasServiceToken && !serveNonPublic
            const reads = kind === 'read' || kind === 'list' || kind === 'capability'
            for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example', undefined]) {
              const allowed = allowedOriginFor(kind, origin, policy)
              expect(allowed).to.equal(isForEverybody && reads ? '*' : undefined)
            }
            expect(allowedOriginFor(kind, 'https://app.example', policy)).to.equal(
              isForEverybody && reads ? '*' : 'https://app.example',
            )
          }
        }
      }
    }
  })

  it('are told so for preflights, by the method that they ask for', () => {
    const { target } = requestTo(gateWith(), { url: '/api/models/org/model/commit/main' })
    expect(gateWith().allowedOrigin('POST', target, 'https://evil.example')).to.equal(undefined)
    const listed = gateWith({ corsOrigins: ['https://app.example'] })
    expect(listed.allowedOrigin('POST', target, 'https://app.example')).to.equal('https://app.example')
    const file = requestTo(gateWith(), { url: '/org/model/resolve/main/f' }).target
    expect(gateWith().allowedOrigin('GET', file, 'https://evil.example')).to.equal('*')
    expect(gateWith({ access: 'tokens' }).allowedOrigin('GET', file, 'https://evil.example')).to.equal(undefined)
  })
})

describe('the host that a request is for', () => {
  for (const [host, expected] of [
    ['mirror.example', true],
    ['MIRROR.example', true],
    ['mirror.example:443', true],
    ['mirror.example.', false],
    ['mirror.example:8443', false],
    ['evil.example', false],
    ['mirror.example@evil.example', false],
    ['evil.example/mirror.example', false],
    ['127.0.0.1:8000', true],
    ['[::1]:8000', true],
    ['10.1.2.3', true],
    ['localhost:8000', true],
    ['localhost.evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['', false],
    [undefined, true],
  ] as const) {
    it(`${host} is ${expected ? 'expected' : 'refused'}`, () => {
      expect(isExpectedHost(host, 'https://mirror.example')).to.equal(expected)
    })
  }

  it('counts where something is to be gained, and never for probes', async () => {
    const url = '/org/model/resolve/main/f'
    const publicUrl = 'https://mirror.example'
    const host = 'evil.example'
    const status = async (gate: ReturnType<typeof gateWith>, path = url) =>
      await gate.admit(requestTo(gate, { url: path, host, authorization: 'Bearer own-token-1' })).then(
        () => 200,
        (error: unknown) => (error instanceof Error && 'status' in error ? error.status : error),
      )
    const accessTokens = [{ token: 'own-token-1', repositories: ['**'] }]
    expect(await status(gateWith({ publicUrl }))).to.equal(200)
    expect(await status(gateWith({ publicUrl, access: 'hub' }))).to.equal(421)
    expect(await status(gateWith({ publicUrl, access: 'tokens', accessTokens }))).to.equal(421)
    expect(await status(gateWith({ access: 'tokens', accessTokens }))).to.equal(200)
    const upstreams = [new RecordingUpstream({ hasServiceToken: true })]
    expect(await status(gateWith({ publicUrl, upstreams }))).to.equal(421)
    expect(await status(gateWith({ publicUrl, access: 'hub' }), '/health')).to.equal(200)
    expect(await status(gateWith({ publicUrl, access: 'hub' }), '/ready')).to.equal(200)
  })
})
