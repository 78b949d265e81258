import { expect } from 'chai'
import fc from 'fast-check'
import {
  Failure,
  formatTarget,
  HubFailure,
  isRepositoryId,
  type Method,
  type Target,
} from '../../../../src/hub/index.ts'
import { nameOf, RepositoryGlobs } from '../../../../src/server/gate/repository-globs.ts'
import {
  type Asked,
  declined,
  type GateOptions,
  gateWith,
  json,
  ListedLibrary,
  RecordingUpstream,
  requestTo,
} from './fixture.ts'

/** The status with which a request is refused; 200: it may pass. */
async function statusOf(options: GateOptions, asked: Asked | string): Promise<number> {
  const gate = gateWith(options)
  try {
    await gate.admit(requestTo(gate, typeof asked === 'string' ? { url: asked } : asked))
    return 200
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.status
  }
}

const sha256 = 'f'.repeat(64)
const pickleSha256 = '9'.repeat(64)

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

describe('pickle files', () => {
  const files = (...paths: string[]) =>
    paths.map((rfilename) => ({ rfilename, lfs: { sha256: rfilename.endsWith('.bin') ? pickleSha256 : sha256 } }))
  const hubWith = (...paths: string[]) => new RecordingUpstream({}, () => json(200, { siblings: files(...paths) }))
  const oidUrl = (oid: string) => `/-/lfs/models/org/model/${oid}`
  const batch = (oid: string): Asked => ({
    method: 'POST',
    url: '/org/model.git/info/lfs/objects/batch',
    body: { operation: 'download', objects: [{ oid, size: 1 }] },
  })

  it('are refused by path, wherever a path can stand', async () => {
    const pickleFiles = 'refuse'
    for (const path of ['model.bin', 'a/b/MODEL.PT', 'x.ckpt', 'x.pkl', 'x.pickle', 'x.pth', '%6dodel.b%69n']) {
      for (const route of [
        '/org/model/resolve/main/P',
        '/org/model/raw/main/P',
        `/api/resolve-cache/models/org/model/${'a'.repeat(40)}/P`,
        '/org/model/blob/main/P',
        '/buckets/org/b/resolve/P',
        '/kernels/org/k/resolve/main/P',
      ])
        expect(await statusOf({ pickleFiles }, route.replace('P', path)), route + path).to.be.oneOf([403, 404])
    }
    for (const url of [
      '/org/model/resolve/main/model.safetensors',
      '/org/model/resolve/main/bin',
      '/api/models/org/model.bin',
    ])
      expect(await statusOf({ pickleFiles }, url), url).to.equal(200)
  })

  it('are refused together with what would bring them along', async () => {
    for (const pickleFiles of ['refuse', 'refuse-if-safetensors'] as const) {
      for (const asked of [
        '/org/model.git/info/refs?service=git-upload-pack',
        { url: '/org/model.git/git-upload-pack', method: 'POST' as const, body: 'x' },
        '/api/models/org/model/xet-read-token/main',
      ])
        expect(await statusOf({ pickleFiles }, asked), JSON.stringify(asked)).to.equal(403)
    }
  })

  it('asked for by their hash are what `main` says that they are; what it does not know is refused', async () => {
    const upstreams = [hubWith('model.bin', 'model.safetensors')]
    for (const ask of [oidUrl, batch, (oid: string) => `/v2/org/model/blobs/sha256:${oid}`]) {
      for (const pickleFiles of ['refuse', 'refuse-if-safetensors'] as const) {
        expect(await statusOf({ pickleFiles, upstreams }, ask(sha256))).to.equal(200)
        expect(await statusOf({ pickleFiles, upstreams }, ask(pickleSha256))).to.equal(403)
        expect(await statusOf({ pickleFiles, upstreams }, ask('1'.repeat(64)))).to.equal(403)
      }
      const onlyPickles = [hubWith('model.bin')]
      expect(
        await statusOf({ pickleFiles: 'refuse-if-safetensors', upstreams: onlyPickles }, ask(pickleSha256)),
      ).to.equal(200)
    }
  })

  it('are refused where there are safetensors, stored or not, by what the client may see', async () => {
    const url = '/org/model/resolve/main/model.bin'
    const pickleFiles = 'refuse-if-safetensors'
    const stored = (...paths: string[]) =>
      new ListedLibrary({ repository: { type: 'model', id: 'org/model' }, files: paths.map((path) => ({ path })) })
    const upstreams = [hubWith('model.bin')]
    expect(await statusOf({ pickleFiles, upstreams, library: stored('model.bin', 'a.SafeTensors') }, url)).to.equal(403)
    expect(await statusOf({ pickleFiles, upstreams, library: stored('model.bin') }, url)).to.equal(200)
    expect(await statusOf({ pickleFiles, upstreams: [hubWith('model.bin', 'a.safetensors')] }, url)).to.equal(403)
    expect(await statusOf({ pickleFiles, upstreams }, url)).to.equal(200)
    expect(await statusOf({ pickleFiles, upstreams: [] }, url)).to.equal(200) // nothing but what is stored can be sent
  })

  it('are refused for now where the files cannot be listed, and the Hub is asked once a minute', async () => {
    const url = '/org/model/resolve/main/model.bin'
    const pickleFiles = 'refuse-if-safetensors'
    for (const answer of [
      () => declined,
      () => json(429, {}),
      () => json(500, {}),
      () => json(200, { siblings: 1 }),
      () => Promise.reject(new Error('x')),
    ])
      expect(await statusOf({ pickleFiles, upstreams: [new RecordingUpstream({}, answer)] }, url)).to.equal(503)
    expect(
      await statusOf(
        {
          pickleFiles,
          upstreams: [new RecordingUpstream({}, () => json(404, {}, [['x-error-code', 'RevisionNotFound']]))],
        },
        url,
      ),
    ).to.equal(404)
    const upstream = hubWith('model.bin')
    const gate = gateWith({ pickleFiles, upstreams: [upstream] })
    for (let index = 0; index < 20; index++) await gate.admit(requestTo(gate, { url, authorization: 'Bearer hf_a' }))
    expect(upstream.asked).to.have.length(1)
    // With the client's own rights, and not shared with another's.
    expect(upstream.asked[0]?.rights).to.deep.equal({ use: 'client', token: 'hf_a' })
    await gate.admit(requestTo(gate, { url }))
    expect(upstream.asked).to.have.length(2)
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
      const seal = gate.sealFor(target as Target, upstream.traits)?.('https://cdn.example/f?s=1') ?? ''
      const admission = await gate.admit(requestTo(gate, { url: seal, authorization: 'Bearer hf_a' }))
      expect(admission.capability).to.deep.equal({
        url: 'https://cdn.example/f?s=1',
        repository: { type: 'model', id: 'org/model' },
        upstream: 'hub',
      })
      expect(admission.rightsAt(upstream.traits)).to.deep.equal({ use: 'none' })
      expect(admission.pullRights).to.equal(undefined)
      expect(await statusOf({ access, deny: ['org/model'] }, seal)).to.equal(403)
      expect(await statusOf({ access }, `${seal}x`)).to.equal(403)
      expect(await statusOf({ access }, '/-/follow/aHR0cHM6Ly9jZG4uZXhhbXBsZS8')).to.equal(403)
    }
  })
})
