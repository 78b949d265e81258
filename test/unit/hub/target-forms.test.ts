import { expect } from 'chai'
import { InvalidTarget, parseTarget, type Target } from '../../../src/hub/index.ts'

const commit = '0123456789abcdef0123456789abcdef01234567'
const oid = 'e'.repeat(64)

function read(raw: string): Target {
  return parseTarget(raw, '/mirror').target
}

/** The operands, and the canonical spelling where it is another. */
const forms: Record<string, object> = {
  '/gpt2/resolve/main/config.json': { operation: 'resolve', id: 'gpt2', revision: 'main', path: 'config.json' },
  '/mirror/org/m/resolve/main/f?download=true': {
    operation: 'resolve',
    canonical: '/org/m/resolve/main/f?download=true',
  },
  'http://elsewhere:1/mirror/org/m/raw/main/f': { operation: 'raw', id: 'org/m', canonical: '/org/m/raw/main/f' },
  '//api/models/org/m': { operation: 'info', id: 'org/m', canonical: '/api/models/org/m' },
  '/API/Models/Org/M/Tree/Main': { operation: 'tree', id: 'Org/M', canonical: '/api/models/Org/M/tree/Main' },
  '/Datasets/org/d/RESOLVE/main/F': { operation: 'resolve', canonical: '/datasets/org/d/resolve/main/F' },
  '/datasets/squad/resolve/refs%2Fconvert%2Fparquet/a/b.parquet': {
    revision: 'refs/convert/parquet',
    path: 'a/b.parquet',
  },
  '/datasets/org/d/resolve/refs/convert/parquet/a.parquet': {
    revision: 'refs/convert/parquet',
    path: 'a.parquet',
    canonical: '/datasets/org/d/resolve/refs%2Fconvert%2Fparquet/a.parquet',
  },
  '/org/m/resolve/refs%2Fheads%2Fa%2Fb/f': { revision: 'refs/heads/a/b', path: 'f' },
  '/org/m/resolve/refs/heads/a/b/f': {
    revision: 'refs/heads/a',
    path: 'b/f',
    canonical: '/org/m/resolve/refs%2Fheads%2Fa/b/f',
  },
  '/api/models/org/m/revision/refs/heads/a/b': {
    revision: 'refs/heads/a/b',
    canonical: '/api/models/org/m/revision/refs%2Fheads%2Fa%2Fb',
  },
  '/api/models/org/m/revision/HEAD': { operation: 'info', revision: 'HEAD' },
  '/api/models/org/m/tree/refs/pr/1/sub': {
    revision: 'refs/pr/1',
    path: 'sub',
    canonical: '/api/models/org/m/tree/refs%2Fpr%2F1/sub',
  },
  '/api/models/org/m/tree/main/a%2Fb': { operation: 'tree', path: 'a/b', canonical: '/api/models/org/m/tree/main/a/b' },
  '/api/models/org/m/tree/main/': { operation: 'tree', path: '', canonical: '/api/models/org/m/tree/main' },
  '/org/m/resolve/main/a%5Cb': { operation: 'resolve', path: 'a\\b', canonical: '/org/m/resolve/main/a%5Cb' },
  '/org/m/resolve/main/a%252e%252fe': { operation: 'resolve', path: 'a%2e%2fe' },
  '/org/m/resolve/main/Ã¼': { operation: 'resolve', path: 'ü', canonical: '/org/m/resolve/main/%C3%BC' },
  '/org/m/resolve/main/f?': { canonical: '/org/m/resolve/main/f' },
  "/api/models?search='a'": { operation: 'search', canonical: '/api/models?search=%27a%27' },
  '/api/models/evil%2Fdenied': { operation: 'info', id: 'evil/denied', canonical: '/api/models/evil/denied' },

  // Repositories named like routes, and paths with two readings.
  '/ggml-org/models/resolve/main/f': { operation: 'resolve', id: 'ggml-org/models' },
  '/api/datasets/kestra/datasets': { operation: 'info', id: 'kestra/datasets' },
  '/models/a/resolve/main/f': { operation: 'other' },
  '/org/resolve/resolve/main/f': { operation: 'resolve', id: 'org/resolve', readings: ['org/resolve', 'org'] },
  '/gpt2/resolve/resolve/f': { operation: 'resolve', id: 'gpt2', revision: 'resolve', readings: ['gpt2'] },
  '/api/models/gpt2/refs': { operation: 'refs', id: 'gpt2', readings: ['gpt2'] },
  '/api/models/org/tree': { operation: 'info', id: 'org/tree' },
  '/api/models/org/tree/xet-write-token/main': { operation: 'xet-write-token', readings: ['org/tree', 'org'] },

  [`/api/resolve-cache/models/org/m/${commit}/f`]: { operation: 'resolve-cache', revision: commit },
  [`/api/resolve-cache/datasets/squad/${commit}/f`]: { operation: 'resolve-cache', id: 'squad' },
  '/org/m.git/info/refs?service=git-upload-pack': { operation: 'git-refs', service: 'git-upload-pack' },
  '/datasets/org/d/info/refs?service=git-receive-pack&x=y': {
    operation: 'git-refs',
    canonical: '/datasets/org/d.git/info/refs?service=git-receive-pack',
  },
  '/org/m.git/info/refs': { operation: 'repository-other', id: 'org/m' },
  '/org/m.git/info/refs?Service=git-receive-pack': {
    operation: 'repository-other',
    canonical: '/org/m.git/info/refs',
  },
  '/gpt2.git/HEAD': { operation: 'repository-other', id: 'gpt2', route: 'head' },
  '/org/m/git-upload-pack': { operation: 'git-upload-pack', canonical: '/org/m.git/git-upload-pack' },
  '/org/m.git/info/lfs/objects/batch': { operation: 'lfs-batch', id: 'org/m' },
  '/org/m.git/info/lfs/locks/verify': { operation: 'lfs', route: 'locks/verify' },
  '/v2/org/m/manifests/latest': { operation: 'oci-manifest', id: 'org/m', reference: 'latest' },
  [`/v2/org/m/blobs/sha256:${oid}`]: { operation: 'oci-blob', digest: `sha256:${oid}` },
  [`/v2/org/m/blobs/sha256%3a${oid}`]: { operation: 'oci-blob', canonical: `/v2/org/m/blobs/sha256:${oid}` },
  '/v2/': { operation: 'other', canonical: '/v2' },

  '/api/models/org/m/commit/main': { operation: 'repository-write', route: 'commit' },
  '/api/models/org/m/branch/feature%2Fx': {
    operation: 'repository-write',
    canonical: '/api/models/org/m/branch/feature%2Fx',
  },
  '/api/models/org/m/lfs-files/duplicate': { operation: 'repository-write', route: 'lfs-files/duplicate' },
  '/api/models/org/m/discussions': { operation: 'repository-read', route: 'discussions' },
  '/api/spaces/org/s/secrets': { operation: 'repository-other', id: 'org/s', route: 'secrets' },
  '/org/m/blob/main/f': { operation: 'repository-read', route: 'blob' },
  '/org/m': { operation: 'repository-other', id: 'org/m', route: '' },
  '/gpt2': { operation: 'other' },
  '/datasets/squad': { operation: 'repository-other', id: 'squad' },
  '/kernels/org/k/resolve/main/build/a.so': { operation: 'repository-read', type: 'kernel', route: 'resolve' },
  '/api/kernels/org/k': { operation: 'repository-read', type: 'kernel', route: '' },
  '/buckets/org/b/resolve/a/b': { operation: 'repository-read', type: 'bucket', route: 'resolve' },
  '/api/buckets/org/b/batch': { operation: 'repository-write', type: 'bucket', route: 'batch' },
  '/api/buckets/org/b/xet-write-token': { operation: 'xet-write-token', type: 'bucket' },

  '/api/repos/create': { operation: 'repos-create' },
  '/api/organizations/org/overview': { operation: 'overview', of: 'organizations', namespace: 'org' },
  '/api/collections/org/slug': { operation: 'listing' },
  '/api/models-tags-by-type': { operation: 'listing' },
  '/api/validate-yaml': { operation: 'validate-yaml' },
  '/api/telemetry/datasets/x': { operation: 'telemetry' },
  '/api/whoami-v2': { operation: 'whoami' },
  '/api/settings/webhooks': { operation: 'other' },
  '/a--b/resolve/main/f': { operation: 'other' },

  '/': { operation: 'page' },
  '/mirror': { operation: 'page', canonical: '/' },
  '/-/repositories/models/org/m': { operation: 'page' },
  '/health': { operation: 'health' },
  '/-/misses': { operation: 'misses' },
  '/-/follow/abc': { operation: 'follow', seal: 'abc' },
  [`/-/lfs/models/org/m/${oid}`]: { operation: 'lfs-object', id: 'org/m', oid },
}

const refusals: Record<string, readonly string[]> = {
  '400 InvalidTarget': [
    ...[
      '/org/name/resolve/main/../../x',
      '/org/name/resolve/main/%2e%2e/x',
      '/org/name/resolve/main/a%2F..%2Fx',
      '/./a',
    ],
    ...[
      '/x%00',
      '/x%5cy',
      '/x\\y',
      '/%ff',
      '/%',
      '/%c0%ae',
      '/a%0d%0ab',
      '/a b',
      '/a#b',
      '/a?b#c',
      '/\u00ff',
      '/\u0131',
    ],
    ...['*', 'example.org:443', 'ftp://a/b', 'http:///b', 'http:/b', ''],
    '/org/m/info/refs?service=git-upload-pack&service=git-receive-pack',
    '/api/models/%256frg/m',
    '/org%252Fm/resolve/main/f',
    ...[`/api${'/a'.repeat(64)}`, `/api/models/org/m${'/a'.repeat(64)}`, `/a/b${'/c'.repeat(16_000)}`],
  ],
  '404 EntryNotFound': [
    ...['/org/m/resolve/main', '/org/m/resolve/main/', '/org/m/resolve/main/f/', '/org/m/raw/main/f%2F'],
    ...[
      `/api/resolve-cache/models/org/m/${commit}/f/`,
      '/buckets/org/b/resolve/f/',
      `/org/m/resolve/main/${'x'.repeat(256)}`,
    ],
  ],
  '404 RevisionNotFound': [
    '/org/m/resolve/a~1/f',
    '/api/models/org/m/tree/a%20b',
    '/api/resolve-cache/models/org/m/main/f',
  ],
}

describe('forms of request targets', () => {
  for (const [raw, expected] of Object.entries(forms)) {
    it(`reads ${raw}`, () => {
      const target = read(raw)
      const repository = 'repository' in target ? target.repository : undefined
      const readings = target.readings.map(({ id }) => id)
      const isCanonical = !('canonical' in expected)
      expect({ ...target, ...repository, readings }).to.deep.include(expected)
      if (isCanonical) expect(target.canonical).to.equal(raw.replace('Ã¼', '%C3%BC'))
    })
  }

  for (const [answer, targets] of Object.entries(refusals)) {
    for (const raw of targets) {
      it(`refuses ${JSON.stringify(raw).slice(0, 60)} with ${answer}`, () => {
        expect(() => read(raw))
          .to.throw(InvalidTarget)
          .that.satisfies((error: InvalidTarget) => `${error.status} ${error.code}` === answer)
      })
    }
  }

  it('takes a prefix on the boundaries of segments only, and once', () => {
    expect(parseTarget('/mirrored/m/resolve/main/f', '/mirror').prefix).to.equal('')
    expect(parseTarget('/Mirror/m/resolve/main/f', '/mirror').prefix).to.equal('')
    expect(parseTarget('/%6dirror//org/m', '/mirror').prefix).to.equal('/mirror')
    expect(parseTarget('/a/b/org/m', '/a/b')).to.deep.include({ prefix: '/a/b' })
    expect(read('/mirror/mirror/m/resolve/main/f').canonical).to.equal('/mirror/m/resolve/main/f')
    expect(parseTarget('/org/m', '').prefix).to.equal('')
  })
})
