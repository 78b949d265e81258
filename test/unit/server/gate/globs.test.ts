import { expect } from 'chai'
import { HubFailure, parseTarget } from '../../../../src/hub/index.ts'
import { nameOf, RepositoryGlobs } from '../../../../src/server/gate/repository-globs.ts'
import { RepositoryPolicy } from '../../../../src/server/gate/repository-policy.ts'
import { kindOf } from '../../../../src/server/gate/request-kind.ts'

const targetOf = (url: string) => parseTarget(url, '').target

describe('globs of repositories', () => {
  it('match names as policies spell them', () => {
    for (const [type, name] of [
      ['model', 'org/x'],
      ['dataset', 'datasets/org/x'],
      ['space', 'spaces/org/x'],
      ['kernel', 'kernels/org/x'],
      ['bucket', 'buckets/org/x'],
    ] as const)
      expect(nameOf({ type, id: 'org/x' })).to.equal(name)
    for (const [globs, name, isMatched] of [
      [[], 'org/x', false],
      [[], '', false],
      [['org/*'], 'org/.x', true],
      [['*/*'], '.org/x', true],
      [['org/*'], 'ORG/X', true],
      [['org/*'], 'org', false],
      [['a/*', 'b/*'], 'b/x', true],
    ] as const)
      expect(new RepositoryGlobs(globs).matches(name), `${globs} ${name}`).to.equal(isMatched)
  })

  it('match namespaces where they can match a repository of one', () => {
    for (const [glob, isMatched] of [
      ['org/*', true],
      ['ORG/x', true],
      ['o*/x', true],
      ['datasets/org/*', true],
      ['spaces/org/*', true],
      ['kernels/org/*', true],
      ['Buckets/org/x', true],
      ['**', true],
      ['datasets/**', true],
      ['*/x', true],
      ['org', false],
      ['*', false],
      ['datasets/org', false],
      ['datasets', false],
      ['others/org/*', false],
    ] as const)
      expect(new RepositoryGlobs([glob]).matchesNamespace('org'), glob).to.equal(isMatched)
    expect(new RepositoryGlobs([]).matchesNamespace('')).to.equal(false)
    expect(new RepositoryGlobs(['gpt2']).matchesNamespace('gpt2')).to.equal(false)
    expect([['**'], ['*/**'], []].map((globs) => new RepositoryGlobs(globs).matchesEverything)).to.deep.equal([
      ...[true, false, false],
    ])
  })
})

describe('the policy of repositories', () => {
  const isRefused = (policy: RepositoryPolicy, url: string, isNamedInBody = false): boolean => {
    try {
      policy.assertTarget(targetOf(url), isNamedInBody)
      return false
    } catch (error) {
      if (error instanceof HubFailure && error.code === 'RepositoryDenied') return true
      throw error
    }
  }
  const denying = (...deny: string[]) => new RepositoryPolicy([], deny)
  const allowing = (...allow: string[]) => new RepositoryPolicy(allow, [])

  it('is in force where something is allowed or denied', () => {
    expect([allowing(), allowing('a/*'), denying('a/*')].map((one) => one.isInForce)).to.deep.equal([false, true, true])
    expect(isRefused(allowing(), '/api/jobs/x')).to.equal(false)
  })

  it('serves what is allowed and not denied', () => {
    for (const [allow, deny, isServed] of [
      [[], [], true],
      [['org/*'], [], true],
      [['other/*'], [], false],
      [[], ['org/*'], false],
      [[], ['other/*'], true],
      [['org/*'], ['org/x'], false],
    ] as const) {
      const policy = new RepositoryPolicy(allow, deny)
      expect(policy.serves({ type: 'model', id: 'org/x' })).to.equal(isServed)
      expect(isRefused(policy, '/org/x/resolve/main/f')).to.equal(!isServed)
    }
  })

  it('leaves what serves people and clients alone', () => {
    for (const url of [
      '/api/whoami-v2',
      '/api/telemetry/x',
      '/api/validate-yaml',
      '/health',
      '/ready',
      '/',
      '/-/misses',
    ])
      expect(isRefused(allowing('org/*'), url), url).to.equal(false)
    for (const [url, isNamedInBody] of [
      ['/api/repos/create', true],
      ['/api/repos/create', false],
    ] as const)
      expect(isRefused(allowing('org/*'), url, isNamedInBody)).to.equal(!isNamedInBody)
  })

  it('denies the repository that one segment more would name', () => {
    for (const [name, url] of [
      ['gpt2/resolve', '/gpt2/resolve/main/f'],
      ['gpt2/tree', '/api/models/gpt2/tree/main'],
      ['datasets/squad/tree', '/api/datasets/squad/tree/main'],
    ] as const) {
      expect(isRefused(denying(name), url), url).to.equal(true)
      expect(isRefused(denying('gpt2/other'), url), url).to.equal(false)
    }
  })

  it('denies what may stand in a route without a grammar, and in a listing, in whatever place', () => {
    for (const [deny, url, isDenied] of [
      ['evil/x', '/api/unknown/evil/x', true],
      ['evil/x', '/api/unknown/a/evil/x.git/b', true],
      ['evil', '/api/unknown/evil.GIT', true],
      ['datasets/evil/x', '/api/unknown/datasets/evil/x', true],
      ['unknown/datasets/evil/x', '/api/unknown/datasets/evil/x', false],
      ['a.github', '/api/unknown/a.github', true],
      ['evil/x', '/api/models/org/m/whatever/evil/x', true],
      ['evil/x', '/api/papers/evil/x', true],
      ['evil', '/api/organizations/evil/overview', false],
      // Words of a grammar are no names.
      ['main', '/org/m/resolve/main/f', false],
      ['main', '/org/m/whatever/main', true],
    ] as const)
      expect(isRefused(denying(deny), url), `${deny} ${url}`).to.equal(isDenied)
  })

  it('takes nothing for a name that is longer than any', () => {
    for (const [length, isDenied] of [
      [500, true],
      [501, false],
    ] as const)
      expect(isRefused(denying('x*'), `/api/unknown/${'x'.repeat(length)}`)).to.equal(isDenied)
  })
})

describe('the kind of a request', () => {
  it('is an account’s for a page that is not shown', () => {
    for (const [method, url, page, kind] of [
      ['GET', '/', true, 'own'],
      ['GET', '/-/misses', true, 'own'],
      ['GET', '/', false, 'account'],
      ['GET', '/-/misses', false, 'account'],
      ['GET', '/health', false, 'own'],
      ['GET', '/org/m/resolve/main/f', false, 'read'],
      ['POST', '/org/m.git/info/lfs/objects/batch', false, 'write'],
    ] as const)
      expect(kindOf(method, targetOf(url), { page, lfsOperation: 'upload' }), `${url} ${page}`).to.equal(kind)
  })
})
