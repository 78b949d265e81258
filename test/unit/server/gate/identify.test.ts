import { expect } from 'chai'
import fc from 'fast-check'
import { AccessTokens } from '../../../../src/server/gate/access-tokens.ts'
import { type IdentifyOptions, identify } from '../../../../src/server/gate/identify.ts'
import { anyCharacter } from '../../../support/any-text.ts'
import { runs } from '../../../support/runs.ts'

const options: IdentifyOptions = {
  accessTokens: new AccessTokens([
    { token: 'team-a-token', name: 'team a', repositories: ['org/*'] },
    { token: 'hf_own_but_like_the_hubs', repositories: ['**'], write: true },
  ]),
  clientTokenPatterns: [/^(?:hf_|api_)/, /^mirror_/g],
}
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

function kindOf(authorization: string | undefined): string {
  const client = identify({ ...(authorization !== undefined && { authorization }) }, '10.0.0.1', options)
  return client.kind === 'own'
    ? `own ${client.accessToken.name}`
    : client.kind === 'hub'
      ? `hub ${client.token}`
      : client.kind
}

describe('who asks', () => {
  for (const [authorization, expected] of [
    [undefined, 'none'],
    ['', 'none'],
    ['  ', 'none'],
    ['Bearer hf_abc', 'hub hf_abc'],
    ['bearer  hf_abc ', 'hub hf_abc'],
    ['BEARER api_org', 'hub api_org'],
    ['Bearer team-a-token', 'own team a'],
    ['Bearer hf_own_but_like_the_hubs', 'own access token 2'],
    [basic('user:hf_abc'), 'hub hf_abc'],
    [basic('hf_abc:'), 'hub hf_abc'],
    [basic('hf_abc'), 'hub hf_abc'],
    [basic('hf_abc:x-oauth-basic'), 'hub hf_abc'],
    [basic('x:team-a-token'), 'own team a'],
    [basic('team-a-token:x'), 'own team a'],
    // The password counts first.
    [basic('hf_user:hf_password'), 'hub hf_password'],
    ['Bearer mirror_1', 'hub mirror_1'],
    ['Bearer mirror_1', 'hub mirror_1'],
    ['Bearer eyJhbGciOiJIUzI1NiJ9.e30.x', 'other'],
    ['Bearer', 'other'],
    ['Digest username="hf_abc"', 'other'],
    ['hf_abc', 'other'],
    ['Bearer team-a-token2', 'other'],
    ['Bearer Team-A-Token', 'other'],
    ['Bearer hf_abc hf_def', 'other'],
    ['Bearer hf_abc,hf_def', 'other'],
    [basic('x:hf_a\r\nX-Evil: 1'), 'other'],
    [basic('x:hf_ä'), 'other'],
    [basic(''), 'other'],
  ] as const) {
    it(`${JSON.stringify(authorization)} is ${expected}`, () => {
      expect(kindOf(authorization)).to.equal(expected)
    })
  }

  it('never takes for sendable what could end a header, and never throws', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: anyCharacter }),
        fc.constantFrom('Bearer ', 'Basic ', 'basic', ''),
        (text, scheme) => {
          const given = scheme.startsWith('Basic') ? basic(text) : text
          const client = identify({ authorization: `${scheme}${given}` }, '::1', options)
          if (client.kind === 'hub') expect(client.token).to.match(/^(?:hf_|api_|mirror_)[A-Za-z0-9._~+/=-]*$/)
        },
      ),
      { numRuns: runs(5_000), seed: 20_261_125 },
    )
  })

  it('opens what both entries of a token open, and writes only if both may', () => {
    const tokens = new AccessTokens([
      { token: 'listed-twice', repositories: ['a/*'], write: true },
      { token: 'listed-twice', repositories: ['b/*'] },
    ])
    const found = tokens.find('listed-twice')
    expect([found?.covers('a/x'), found?.covers('b/x'), found?.covers('c/x'), found?.write]).to.deep.equal([
      true,
      true,
      false,
      false,
    ])
  })
})
