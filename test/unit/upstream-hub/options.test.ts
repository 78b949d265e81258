import { expect } from 'chai'
import { credentialsOf, noCredentials } from '../../../plugins/upstream-hub/credentials.ts'
import plugin from '../../../plugins/upstream-hub/index.ts'
import { hubUpstreamOptions, removesXet } from '../../../plugins/upstream-hub/options.ts'

const minute = 60_000
const defaults = {
  name: 'hub',
  url: 'https://huggingface.co',
  connectTimeout: 5_000,
  headersTimeout: 30_000,
  idleTimeout: minute,
  retries: 2,
  redirects: 'pass',
  xet: true,
  followHosts: ['*.huggingface.co', '*.hf.co', '**.xethub.hf.co'],
  followPrivate: [],
  serviceWrites: false,
  clientTokenPattern: '^(hf_|api_)',
  breakerFailures: 10,
  breakerPause: 5_000,
  metadataMemory: 32 * 1024 * 1024,
  metadataFreshFor: 1_000,
  staleIfError: 24 * 60 * minute,
}

describe('options of the Hub’s upstream', () => {
  it('are what the documentation says where none are given', () => {
    expect(hubUpstreamOptions.parse({})).to.deep.equal(defaults)
    expect([plugin.kind, plugin.name]).to.deep.equal(['upstream', 'hub'])
  })

  it('are taken or refused with what was expected', () => {
    for (const [given, reason] of [
      [{ name: 'other' }, undefined],
      [{ name: '' }, /./],
      [{ url: 'http://mirror.example/mirror' }, undefined],
      [{ url: 'https://hub.example/' }, undefined],
      [{ url: 'ftp://hub.example' }, /URL/],
      [{ url: 'xhttp://hub.example' }, /URL/],
      [{ url: 'httpx://hub.example' }, /URL/],
      [{ url: 'hub.example' }, /URL/],
      [{ url: 'https://hub.example/?a' }, /scheme, host and path/],
      [{ url: 'https://hub.example/#a' }, /scheme, host and path/],
      [{ url: 'https://user@hub.example' }, /scheme, host and path/],
      [{ url: 'https://:password@hub.example' }, /scheme, host and path/],
      [{ connectTimeout: 2 ** 31 - 1 }, undefined],
      [{ connectTimeout: 2 ** 31 }, /./],
      [{ headersTimeout: 0 }, /./],
      [{ idleTimeout: 1.5 }, /./],
      [{ totalTimeout: 1 }, undefined],
      [{ retries: 0 }, undefined],
      [{ retries: 10 }, undefined],
      [{ retries: 11 }, /./],
      [{ redirects: 'other' }, /./],
      [{ followHosts: [''] }, /./],
      [{ followPrivate: ['10.0.0.0/8', 'fd00::/8'] }, undefined],
      [{ followPrivate: ['10.0.0.0'] }, /network such as/],
      [{ token: '' }, /./],
      [{ clientTokenPattern: '(' }, /regular expression/],
      [{ clientTokenPattern: '^x' }, undefined],
      [{ breakerFailures: 0 }, /./],
      [{ metadataMemory: 0 }, /./],
      [{ metadataFreshFor: 0 }, undefined],
      [{ metadataFreshFor: -1 }, /./],
      [{ staleIfError: 0 }, undefined],
      [{ staleIfError: -1 }, /./],
      [{ unheardOf: 1 }, /./],
    ] as const) {
      const { success, error } = hubUpstreamOptions.safeParse(given)
      expect(success, JSON.stringify(given)).to.equal(reason === undefined)
      if (reason !== undefined) expect(error?.message).to.match(reason)
    }
  })

  it('say whether clients are kept from Xet', () => {
    for (const [redirects, xet, isRemoved] of [
      ['pass', true, false],
      ['pass', false, true],
      ['follow', true, true],
      ['follow', false, true],
    ] as const)
      expect(removesXet(hubUpstreamOptions.parse({ redirects, xet }))).to.equal(isRemoved)
  })
})

describe('credentials', () => {
  it('are told apart by what does not tell them', () => {
    const [one, other] = [credentialsOf('client', 'hf_a'), credentialsOf('client', 'hf_b')]
    expect(one).to.deep.include({ kind: 'client', headers: { authorization: 'Bearer hf_a' } })
    expect(one.digest).to.match(/^[\w-]{43}$/)
    expect(
      new Set([one.digest, other.digest, noCredentials.digest, credentialsOf('service', 'hf_a').digest]).size,
    ).to.equal(3)
    expect(noCredentials.headers).to.deep.equal({})
    expect(noCredentials.digest).not.to.equal('')
  })
})
