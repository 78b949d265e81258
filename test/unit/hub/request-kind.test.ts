import { expect } from 'chai'
import { type Method, methods, parseTarget, type RequestKind, requestKindOf } from '../../../src/hub/index.ts'

const commit = 'a'.repeat(40)

/** docs/credentials.md, row by row: each route with the methods that it names, all others being an account's. */
const kinds: Record<Exclude<RequestKind, 'account'>, Record<string, readonly Method[]>> = {
  read: {
    ...reads('/api/models/o/n', '/api/models/o/n/revision/main', '/api/models/o/n/tree/main', '/o/n/resolve/main/f'),
    ...reads(
      '/api/models/o/n/treesize/main/a',
      '/api/models/o/n/refs',
      '/api/models/o/n/commits/main',
      '/o/n/raw/main/f',
    ),
    ...reads(`/api/resolve-cache/models/o/n/${commit}/f`, '/api/models/o/n/discussions', '/v2/o/n/manifests/latest'),
    ...reads(
      '/v2/o/n/blobs/sha256:00',
      '/o/n/info/refs?service=git-upload-pack',
      '/api/models/o/n/xet-read-token/main',
    ),
    ...reads('/api/kernels/o/n', '/api/kernels/o/n/tree/main', '/kernels/o/n/resolve/main/f', '/api/buckets/o/n/tree'),
    ...reads('/buckets/o/n/resolve/f', '/api/models/o/n/safetensors-metadata/f', `/-/lfs/models/o/n/${'b'.repeat(64)}`),
    ...reads('/api/buckets/o/n/xet-read-token'),
    '/api/models/o/n/paths-info/main': ['POST'],
    '/api/kernels/o/n/paths-info/main': ['POST'],
    '/api/buckets/o/n/paths-info': ['POST'],
    '/o/n.git/git-upload-pack': ['POST'],
  },
  list: {
    ...reads('/api/models', '/api/datasets?search=x', '/api/models-tags-by-type', '/api/organizations/o/overview'),
    ...reads('/api/users/o/overview', '/api/papers/1', '/api/collections/o/c'),
    '/api/validate-yaml': ['POST'],
    '/api/telemetry/x': ['GET', 'HEAD', 'POST'],
  },
  write: {
    ...reads('/api/models/o/n/xet-write-token/main', '/o/n/info/refs?service=git-receive-pack'),
    ...reads('/api/buckets/o/n/xet-write-token'),
    '/o/n/git-receive-pack': ['POST'],
    '/o/n/info/lfs/objects/batch': ['POST'],
    '/o/n/info/lfs/objects/verify': [...methods],
    '/o/n/info/lfs/locks': [...methods],
    ...writes('preupload/main', 'commit/main', 'branch/b', 'tag/t', 'duplicate', 'lfs-files/duplicate'),
    '/api/buckets/o/n/batch': ['POST', 'PUT', 'PATCH', 'DELETE'],
    '/api/repos/create': ['POST'],
    '/api/repos/move': ['POST'],
    '/api/repos/delete': ['DELETE'],
  },
  own: Object.fromEntries(['/', '/health', '/ready', '/-/misses', '/-/x'].map((path) => [path, [...methods]])),
  capability: { '/-/follow/abc': [...methods] },
}

function reads(...targets: string[]): Record<string, readonly Method[]> {
  return Object.fromEntries(targets.map((target) => [target, ['GET', 'HEAD']]))
}

function writes(...routes: string[]): Record<string, readonly Method[]> {
  return Object.fromEntries(routes.map((route) => [`/api/models/o/n/${route}`, ['POST', 'PUT', 'PATCH', 'DELETE']]))
}

describe('kinds of requests', () => {
  for (const [kind, routes] of Object.entries(kinds)) {
    for (const [raw, named] of Object.entries(routes)) {
      for (const method of methods) {
        const expected = named.includes(method) ? kind : 'account'
        it(`${method} ${raw.slice(0, 60)}: ${expected}`, () =>
          void expect(requestKindOf(method, parseTarget(raw, '').target)).to.equal(expected))
      }
    }
  }

  for (const raw of [
    '/api/whoami-v2',
    '/api/models/o/n/auth-check',
    '/api/models/o/n/settings',
    '/api/spaces/o/n/secrets',
  ]) {
    for (const method of methods)
      it(`${method} ${raw}: account`, () =>
        void expect(requestKindOf(method, parseTarget(raw, '').target)).to.equal('account'))
  }

  it('tells an LFS batch by what its body asks for', () => {
    const { target } = parseTarget('/o/n.git/info/lfs/objects/batch', '')
    expect(requestKindOf('POST', target, 'download')).to.equal('read')
    expect(requestKindOf('POST', target, 'upload')).to.equal('write')
    expect(requestKindOf('GET', target, 'download')).to.equal('account')
  })
})
