import { expect } from 'chai'
import fc from 'fast-check'
import { formatTarget, HubFailure, isRepositoryId, type Method, parseTarget } from '../../../../src/hub/index.ts'
import { nameOf, RepositoryGlobs } from '../../../../src/server/gate/repository-globs.ts'
import { type Asked, gateWith, ListedLibrary, RecordingUpstream, requestTo, statusOf } from './fixture.ts'

const sha256 = 'f'.repeat(64)

describe('allow and deny', () => {
  /** Every route that can name a repository. */
  const routes = [
    '/R/resolve/main/f',
    '/R/raw/main/f',
    `/api/resolve-cache/models/R/${'a'.repeat(40)}/f`,
    '/R/blob/main/f',
    '/R/tree/main',
    '/R',
    '/R/discussions',
    '/R.git/info/refs?service=git-upload-pack',
    '/R.git/HEAD',
    '/v2/R/manifests/latest',
    `/v2/R/blobs/sha256:${sha256}`,
    '/api/models/R',
    '/api/models/R/tree/main',
    '/api/models/R/xet-read-token/main',
    '/api/models/R/settings',
    '/api/models/R/whatever/comes/next',
    `/-/lfs/models/R/${sha256}`,
    '/api/unknown/R/x',
    '/unknown/route/R',
    '/api/models/R%2Fx',
  ]

  for (const route of routes) {
    it(`hold on ${route}, in any spelling of the name`, async () => {
      for (const name of ['evil/denied', 'Evil/DENIED', 'evil%2Fdenied', '%65vil/denied']) {
        const url = route.replace('R', name)
        const deny = await statusOf({ deny: ['evil/*'] }, url).catch(invalid)
        expect(deny, url).to.be.oneOf([403, 400, 404])
        expect(await statusOf({ allow: ['org/*'] }, url).catch(invalid), url).to.be.oneOf([403, 400, 404])
      }
      expect(await statusOf({ deny: ['evil/*'] }, route.replace('R', 'org/model')).catch(invalid)).to.be.oneOf([
        200, 404,
      ])
    })
  }

  it('hold for a name with something behind it that whoever reads it once more takes off', async () => {
    const ends = [
      '%23',
      '%23x',
      '%3F',
      '%3Fx=y',
      '%20',
      '%20x',
      '.',
      '...',
      '%3B',
      ';x=y',
      '%C2%A0',
      ':x',
      ',',
      '%7Cx',
      '!',
    ]
    // Of the mirror's own routes, what is not known goes nowhere.
    for (const deny of ['evil/denied', 'gpt2'])
      for (const route of routes.filter((route) => !route.startsWith('/-/')))
        for (const end of [...ends, ...ends.map((end) => `${end}.git`), ...ends.map((end) => `.git${end}`)]) {
          const url = route.replace('R', () => deny + end)
          expect(await statusOf({ deny: [deny] }, url).catch(invalid), url).to.be.oneOf([400, 403, 404])
        }
  })

  it('name the other types with their type in front', async () => {
    const deny = ['datasets/evil/*', 'buckets/evil/*', 'kernels/evil/*', 'spaces/evil/*']
    for (const url of [
      '/datasets/evil/d/resolve/main/f',
      '/api/buckets/evil/b',
      '/buckets/evil/b/resolve/f',
      '/api/kernels/evil/k',
      '/spaces/evil/s',
    ])
      expect(await statusOf({ deny }, url), url).to.equal(403)
    expect(await statusOf({ deny }, '/evil/model/resolve/main/f')).to.equal(200)
    expect(await statusOf({ deny }, '/api/jobs/datasets/evil/d')).to.equal(403)
  })

  it('hold for every repository that a path may name', async () => {
    // A file of org/resolve, or of the canonical org.
    const url = '/org/resolve/resolve/main/f'
    expect(await statusOf({ deny: ['org/resolve'] }, url)).to.equal(403)
    expect(await statusOf({ deny: ['org'] }, url)).to.equal(403)
    expect(await statusOf({ allow: ['org/resolve'] }, url)).to.equal(403)
    expect(await statusOf({ allow: ['org', 'org/*'] }, url)).to.equal(200)
  })

  it('refuse, where some are allowed, what names none, less what serves clients and people', async () => {
    const allow = ['org/*']
    for (const url of [
      '/api/models?search=x',
      '/api/jobs/org',
      '/api/collections/x',
      '/api/papers/1',
      '/api/repos/create', // by GET, without the body that would name one
      '/api/organizations/evil/overview',
    ])
      expect(await statusOf({ allow }, url), url).to.equal(403)
    for (const asked of [
      '/api/whoami-v2',
      '/api/telemetry/x',
      { url: '/api/validate-yaml', method: 'POST' as Method, body: {} },
      '/health',
      '/ready',
      '/',
      '/-/misses',
      '/api/organizations/org/overview',
    ])
      expect(await statusOf({ allow }, asked), JSON.stringify(asked)).to.equal(200)
  })

  it('never differ between what is stored and what is not', async () => {
    const library = new ListedLibrary({ repository: { type: 'model', id: 'evil/stored' } })
    const messages = new Set<string>()
    for (const id of ['evil/stored', 'evil/absent']) {
      const gate = gateWith({ library, deny: ['evil/*'] })
      await gate
        .admit(requestTo(gate, { url: `/${id}/resolve/main/f` }))
        .catch((error: Error) => messages.add(error.message.replace(id, 'R')))
    }
    expect(messages.size).to.equal(1)
  })

  it('match by glob whatever dots a name has, ignoring case', () => {
    const component = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/).filter(isRepositoryId)
    fc.assert(
      fc.property(component, component, (namespace, name) => {
        expect(
          new RepositoryGlobs([`${namespace.toLowerCase()}/*`]).matches(`${namespace.toUpperCase()}/${name}`),
        ).to.equal(true)
        expect(new RepositoryGlobs(['**']).matches(nameOf({ type: 'bucket', id: `${namespace}/${name}` }))).to.equal(
          true,
        )
        expect(new RepositoryGlobs([`${namespace}/*`]).matches(`${namespace}x/${name}`)).to.equal(false)
        expect(new RepositoryGlobs([`datasets/${namespace}/*`]).matchesNamespace(namespace)).to.equal(true)
      }),
      { seed: 20_261_125 },
    )
  })
})

describe('a read-only mirror', () => {
  it('lets nothing pass that may change something, by whatever name', async () => {
    const changes: Asked[] = [
      { method: 'POST', url: '/api/models/org/model/commit/main' },
      { method: 'POST', url: '/org/model.git/git-receive-pack' },
      { url: '/org/model.git/info/refs?service=git-receive-pack' },
      { url: '/api/models/org/model/xet-write-token/main' },
      { method: 'POST', url: '/org/model.git/info/lfs/objects/batch', body: { operation: 'upload', objects: [] } },
      { method: 'PUT', url: '/api/models/org/model/settings' },
      { method: 'POST', url: '/api/repos/create', body: { name: 'x', organization: 'org' } },
      { method: 'DELETE', url: '/api/repos/delete', body: { name: 'x', organization: 'org' } },
      { method: 'POST', url: '/api/models/org/model/git-upload-pack' },
      { method: 'POST', url: '/api/unknown/info/lfs/objects/batch' },
      { method: 'DELETE', url: '/api/models/org/model' },
      { method: 'PATCH', url: '/org/model/resolve/main/f' },
    ]
    for (const asked of changes) expect(await statusOf({ readOnly: true }, asked), asked.url).to.equal(403)
    const reads: Asked[] = [
      { method: 'POST', url: '/org/model.git/git-upload-pack' },
      { method: 'POST', url: '/org/model.git/info/lfs/objects/batch', body: { operation: 'download', objects: [] } },
      { method: 'POST', url: '/api/models/org/model/paths-info/main' },
      { method: 'POST', url: '/api/validate-yaml' },
      { url: '/api/models/org/model/settings' },
    ]
    for (const asked of reads) expect(await statusOf({ readOnly: true }, asked), asked.url).to.equal(200)
  })
})

/** What no target could be made of: refused before the gate. */
function invalid(error: unknown): number {
  if (error instanceof HubFailure) return error.status
  throw error
}

describe('capabilities', () => {
  it('pass by themselves, while their repository is served, and carry nobody’s rights', async () => {
    const upstream = new RecordingUpstream({ hasServiceToken: true, clientTokens: true })
    const target = formatTarget({
      operation: 'resolve',
      repository: { type: 'model', id: 'org/model' },
      revision: 'main',
      path: 'f',
    })
    for (const access of ['open', 'hub', 'tokens'] as const) {
      const gate = gateWith({ access, upstreams: [upstream], allow: ['org/*'] })
      const seal = gate.sealFor(target, 'read', upstream.traits)?.('https://cdn.example/f?s=1') ?? ''
      const admission = await gate.admit(requestTo(gate, { url: seal, authorization: 'Bearer hf_a' }))
      expect(admission.capability).to.deep.equal({
        url: 'https://cdn.example/f?s=1',
        repository: { type: 'model', id: 'org/model' },
        upstream: 'hub',
        mayChange: false,
      })
      expect(admission.rightsAt(upstream.traits)).to.deep.equal({ use: 'none' })
      expect(await admission.pullRightsFor({ type: 'model', id: 'org/model' })).to.equal(undefined)
      expect(await statusOf({ access, deny: ['org/model'] }, seal)).to.equal(403)
      expect(await statusOf({ access }, `${seal}x`)).to.equal(403)
      expect(await statusOf({ access }, '/-/follow/aHR0cHM6Ly9jZG4uZXhhbXBsZS8')).to.equal(403)
    }
  })

  it('take a body only where they came of a request that had the right to send one', async () => {
    const upstream = new RecordingUpstream()
    const { target } = parseTarget('/org/model.git/info/lfs/objects/batch', '')
    for (const kind of ['read', 'list', 'write', 'account'] as const)
      for (const readOnly of [false, true])
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
          const gate = gateWith({ readOnly, upstreams: [upstream] })
          const url = gate.sealFor(target, kind, upstream.traits)?.('https://cdn.example/f?s=1') ?? ''
          const reads = method === 'GET' || method === 'HEAD'
          const passes = reads || (!readOnly && (kind === 'write' || kind === 'account'))
          expect(await statusOf({ readOnly }, { url, method }), `${method} of ${kind}, readOnly: ${readOnly}`).to.equal(
            passes ? 200 : 403,
          )
        }
  })
})
