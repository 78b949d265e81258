import { expect } from 'chai'
import { HubFailure, type Method, parseTarget } from '../../../../src/hub/index.ts'
import { offlineFailure } from '../../../../src/server/answers/offline.ts'
import { answerAboutOwnToken } from '../../../../src/server/answers/own-token.ts'
import type { Client } from '../../../../src/server/gate/client.ts'
import { jsonOf, mirrored } from './mirrored.ts'

const api = '/api/models/org/model'
const cached = `/api/resolve-cache/models/org/model/${'c'.repeat(40)}/f`

/** What is said offline where the repository is mirrored at `main`, is mirrored at all. */
async function offline(url: string, has: { commit: boolean; repository: boolean }): Promise<string> {
  const failure = await offlineFailure(parseTarget(url, '').target, {
    find: async (_repository, revision) =>
      has.commit && (revision === 'main' || revision.length === 40) ? mirrored() : undefined,
    refs: async () => [],
    has: async () => has.repository,
  })
  expect(failure).to.be.instanceOf(HubFailure)
  return `${failure.status} ${failure.code}`
}

describe('offline, a mirror says', () => {
  const whole = { commit: true, repository: true }
  const elsewhere = { commit: false, repository: true }
  const nothing = { commit: false, repository: false }

  for (const url of ['/api/models?search=x', '/api/whoami-v2', '/api/kernels/org/k', '/api/buckets/org/b/tree', '/o'])
    it(`that it serves mirrored repositories only: ${url}`, async () => {
      for (const has of [whole, elsewhere, nothing]) expect(await offline(url, has)).to.equal('503 Offline')
    })

  it('that it can check no access to what it has, and has not what it has not', async () => {
    expect(await offline(`${api}/auth-check`, whole)).to.equal('503 Offline')
    expect(await offline(`${api}/auth-check`, elsewhere)).to.equal('503 Offline')
    expect(await offline(`${api}/auth-check`, nothing)).to.equal('404 RepoNotFound')
  })

  for (const [url, answer] of [
    ['/org/model/resolve/main/f', '404 EntryNotFound'],
    ['/org/model/raw/main/f', '404 EntryNotFound'],
    [cached, '404 EntryNotFound'],
    [`${api}/xet-read-token/main`, '404 Offline'],
    [`${api}/commits/main`, '404 Offline'],
    [`${api}/settings`, '404 Offline'],
    [api, '404 Offline'],
  ] as const)
    it(`what a client understands, for ${url}`, async () => {
      expect(await offline(url, whole)).to.equal(answer)
      expect(await offline(url, elsewhere)).to.equal('404 RevisionNotFound')
      expect(await offline(url, nothing)).to.equal('404 RepoNotFound')
    })

  it('that a revision is not there, where another is', async () => {
    for (const url of ['/org/model/resolve/v1/f', `${api}/revision/v1`, `${api}/tree/v1`])
      expect(await offline(url, whole)).to.equal('404 RevisionNotFound')
  })
})

describe("a token of the mirror's own", () => {
  const own = (write: boolean): Client => ({
    kind: 'own',
    address: '::1',
    accessToken: {
      ...{ name: 'team a', repositories: ['**'], write, coversEverything: true },
      covers: () => true,
      coversNamespace: () => true,
    },
  })
  const ask = (url: string, client: Client, method: Method = 'GET') =>
    answerAboutOwnToken({
      ...{ id: 'x', method, target: parseTarget(url, '').target, client, headers: {}, body: undefined },
      mirror: { url: 'http://mirror', path: '' },
      signal: new AbortController().signal,
    })

  it('is told who it is, and what it may', () => {
    for (const [write, role] of [
      [true, 'write'],
      [false, 'read'],
    ] as const) {
      const reply = ask('/api/whoami-v2', own(write))
      expect(reply?.status).to.equal(200)
      expect(jsonOf(reply)).to.deep.equal({
        ...{ type: 'user', id: 'team a', name: 'team a', fullname: 'team a', orgs: [] },
        auth: { type: 'access_token', accessToken: { displayName: 'team a', role } },
      })
    }
    expect(jsonOf(ask(`${api}/auth-check`, own(false)))).to.deep.equal({})
  })

  it('is answered by reads alone, and about itself alone; others are the Hub’s to answer', () => {
    for (const url of ['/api/whoami-v2', `${api}/auth-check`]) {
      expect(ask(url, own(true), 'HEAD')?.status).to.equal(200)
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const)
        expect(ask(url, own(true), method)).to.equal(undefined)
      for (const client of [{ kind: 'none' }, { kind: 'other' }, { kind: 'hub', token: 'hf_a' }] as const)
        expect(ask(url, { ...client, address: '::1' })).to.equal(undefined)
    }
    expect(ask(api, own(true))).to.equal(undefined)
  })
})
