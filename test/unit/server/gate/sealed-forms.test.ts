import { expect } from 'chai'
import { AccessTokens } from '../../../../src/server/gate/access-tokens.ts'
import { openCapability, sealCapability } from '../../../../src/server/gate/follow-seal.ts'
import { isExpectedHost } from '../../../../src/server/gate/host-check.ts'
import { identify } from '../../../../src/server/gate/identify.ts'
import { Seals } from '../../../../src/server/gate/seal.ts'

const seals = new Seals(['a'.repeat(32)])

describe('what is in a seal', () => {
  it('is a URL of the Web and a repository of any type', () => {
    for (const type of ['model', 'dataset', 'space', 'kernel', 'bucket'] as const) {
      for (const url of ['https://cdn.example/x', 'http://cdn.example/x']) {
        const capability = { url, repository: { type, id: 'org/x' }, upstream: 'hub', mayChange: false }
        expect(openCapability(seals, sealCapability(seals, capability))).to.deep.equal(capability)
      }
    }
    const repository = { type: 'model', id: 'org/x' } as const
    const sound = { url: 'https://x/', repository, upstream: 'hub', mayChange: false, expires: 9_999_999_999 }
    expect(openCapability(seals, seals.seal('follow', JSON.stringify(sound)))).to.include({ url: 'https://x/' })
    for (const url of [
      'ftp://cdn.example/x',
      'xhttps://cdn.example/',
      'httpsx://cdn.example/',
      'httpx://x/',
      'cdn.example',
    ])
      expect(() => openCapability(seals, sealCapability(seals, { ...sound, url })), url).to.throw()
    for (const value of [
      { ...sound, repository: { type: 'other', id: 'x' } },
      { ...sound, repository: { type: 'model', id: '' } },
      { ...sound, repository: { type: 'model', id: 'x', more: 1 } },
      { ...sound, more: 1 },
      { ...sound, expires: 0.5 },
      { ...sound, mayChange: undefined },
      {},
    ])
      expect(() => openCapability(seals, seals.seal('follow', JSON.stringify(value))), JSON.stringify(value)).to.throw()
  })

  it('can be read by every version with the same secret, for its own purpose', () => {
    for (const [kind, seal] of [
      ['follow', 'ATREPfL9Gw6viXiXZqpXO-H-3N8Hlh0ZMxcuxpD1QXA-tr4m3w'],
      ['xet', 'Ad3iplHp84LuwzkTxyqKl0VRAbUz8oDJXMjc4WnPjKOGfhKteg'],
    ] as const) {
      const fresh = new Seals(['a'.repeat(32)])
      expect(fresh.open(kind, seal)).to.equal('text')
      expect(fresh.open(kind === 'xet' ? 'follow' : 'xet', seal)).to.equal(undefined)
    }
  })

  it('takes a secret', () => {
    expect(() => new Seals([])).to.throw('secret')
  })
})

describe('a host', () => {
  it('is expected where it is the public URL’s, an address, or this machine', () => {
    for (const [host, isExpected] of [
      [undefined, true],
      ['mirror.example', true],
      ['MIRROR.example:443', true],
      ['localhost:1', true],
      ['10.0.0.1', true],
      ['[::1]:8080', true],
      ['other.example', false],
      ['mirror.example:80', false],
      ['mirror.example/', false],
      ['localhost/x', false],
      ['user@localhost', false],
      ['localhost?x', false],
      ['', false],
    ] as const)
      expect(isExpectedHost(host, 'https://mirror.example/mirror'), String(host)).to.equal(isExpected)
  })
})

describe('an access token', () => {
  it('is the whole of what git sends', () => {
    const accessTokens = new AccessTokens([{ token: 'own-token', repositories: ['**'] }])
    for (const [text, kind] of [
      ['own-token', 'own'],
      ['own-token2', 'other'],
      ['x:own-token', 'own'],
      ['own-token:', 'own'],
      ['own-token:x', 'own'],
      [':', 'other'],
    ] as const) {
      const authorization = `Basic ${Buffer.from(text).toString('base64')}`
      expect(identify({ authorization }, '::1', { accessTokens, clientTokenPatterns: [] }).kind, text).to.equal(kind)
    }
  })
})
