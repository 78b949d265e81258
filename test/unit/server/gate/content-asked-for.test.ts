import { expect } from 'chai'
import { HubFailure, parseTarget, type Repository } from '../../../../src/hub/index.ts'
import { Authority } from '../../../../src/server/gate/authority.ts'
import { PicklePolicy, type PickleRule } from '../../../../src/server/gate/pickle-policy.ts'
import { json, ListedLibrary, RecordingUpstream, type StoredRepository } from './fixture.ts'

const oid = 'a'.repeat(64)
const pickleOid = 'b'.repeat(64)
const repository: Repository = { type: 'model', id: 'org/m' }

interface Given {
  readonly oids?: readonly string[]
  readonly stored?: readonly StoredRepository[]
  readonly authority?: Authority
}

/** 200, or the status and code of the refusal. */
async function outcome(rule: PickleRule, url: string, { oids, stored = [], authority }: Given = {}): Promise<string> {
  const context = { library: new ListedLibrary(...stored), rights: { use: 'none' } as const, oids }
  try {
    await new PicklePolicy(rule, authority).assertTarget(parseTarget(url, '').target, context)
    return '200'
  } catch (error) {
    if (error instanceof HubFailure) return `${error.status} ${error.code} ${/Git and Xet/.test(error.message)}`
    throw error
  }
}

const passes = '200'
const asFile = '403 FileRefused false'
const asWhole = '403 FileRefused true'

describe('content that is asked for', () => {
  for (const [url, expected] of [
    // In one piece, whatever is in it.
    ['/org/m.git/git-upload-pack', asWhole],
    ['/org/m.git/info/refs?service=git-upload-pack', asWhole],
    ['/org/m.git/info/refs?service=git-receive-pack', passes],
    ['/org/m.git/git-receive-pack', passes],
    ['/api/models/org/m/xet-read-token/main', asWhole],
    ['/org/m/archive/main.zip', asWhole],
    ['/org/m/Archive/main.zip', asWhole],
    ['/org/m.git/git-upload-archive', asWhole],
    ['/org/m.git/HEAD', asWhole],
    ['/org/m.git/objects/info/packs', asWhole],
    ['/api/models/org/m/whatever/archive', passes],
    // A digest in another spelling than the registry's: what the Hub makes of it is not known here.
    [`/v2/org/m/blobs/SHA256:${oid}`, asWhole],
    [`/v2/org/m/blobs/sha256:${oid.toUpperCase()}`, asWhole],
    [`/v2/org/m/blobs/sha256:${oid}/x`, asWhole],
    [`/v2/gpt2/blobs/SHA256:${oid}`, asWhole],
    [`/v2/a/b/c/blobs/sha256:${oid}`, asWhole],
    ['/v2/org/m/manifests/latest', passes],
    ['/v2/org/m/tags/list', passes],
    ['/v2/', passes],
    // Of Xet's own servers.
    [`/v1/reconstructions/${oid}`, asWhole],
    [`/V12/Xorbs/default/${oid}`, asWhole],
    [`/chunks/${oid}`, asWhole],
    ['/reconstructions', asWhole],
    // Repositories of these names.
    ['/chunks/x', passes],
    ['/v1/chunks/resolve/main/x', passes],
    [`/xv1/chunks/${oid}`, passes],
    [`/v1x/chunks/${oid}`, passes],
    [`/v1/chunksx/${oid}`, passes],
    [`/v1/xchunks/${oid}`, passes],
    ['/org/m.git/info/lfs/objects/abc', asWhole],
    ['/org/m.git/info/lfs/objects/verify', passes],
    ['/org/m.git/info/lfs/locks', passes],
    ['/api/unknown/archive/x', asWhole],
    ['/api/unknown/x/HEAD', asWhole],
    ['/api/unknown/a.git/x', asWhole],
    ['/api/unknown/a.GIT', asWhole],
    ['/api/unknown/a.github', passes],
    ['/api/unknown/headers', passes],
    // By a path, where its end is a file's.
    ['/org/m/resolve/main/a.bin', asFile],
    ['/org/m/resolve/main/a.bin.txt', passes],
    ['/org/m/resolve/main/bin', passes],
    ['/org/m/raw/main/a.pt', asFile],
    [`/api/resolve-cache/models/org/m/${'c'.repeat(40)}/a.pkl`, asFile],
    ['/org/m/blob/main/a.pth', asFile],
    ['/org/m/settings/a.pickle', asFile],
    ['/buckets/org/b/resolve/a.ckpt', asFile],
    ['/api/buckets/org/b', passes],
    ['/api/unknown/a.bin', asFile],
    ['/api/unknown/a.safetensors', passes],
    ['/org/m.bin', passes],
    ['/api/models/org/m/a.bin', asFile],
    // Nothing of the content.
    ['/api/models/org/m', passes],
    ['/api/models/org/m/tree/main/a.bin', passes],
    ['/api/whoami-v2', passes],
    ['/api/models', passes],
  ] as const)
    it(`${url}: ${expected}`, async () => {
      expect(await outcome('refuse', url)).to.equal(expected)
      expect(await outcome('allow', url)).to.equal(passes)
      if (expected !== asFile) expect(await outcome('refuse-if-safetensors', url)).to.equal(expected)
    })

  const byContent = [`/-/lfs/models/org/m/${oid}`, `/v2/org/m/blobs/sha256:${oid}`]
  const lfs = '/org/m.git/info/lfs/objects/batch'
  const files = [
    { path: 'a.txt', sha256: oid },
    { path: 'b.txt', sha256: pickleOid },
    { path: 'b.bin', sha256: pickleOid },
  ]
  const stored = [{ repository, files }]
  const withSafetensors = [{ repository, files: [...files, { path: 'c.safetensors' }] }]

  it('by its hash is a file of the repository, and none that is refused, by whatever route', async () => {
    for (const url of byContent) {
      expect(await outcome('refuse', url, { stored }), url).to.equal(passes)
      expect(await outcome('refuse', url), url).to.equal(asFile)
    }
    const refusing = 'refuse-if-safetensors'
    for (const [oids, whenRefused, whenBeside, otherwise] of [
      [[oid], passes, passes, passes],
      [[], passes, passes, passes],
      [[oid, pickleOid], asFile, asFile, passes],
      [[pickleOid], asFile, asFile, passes],
      [[oid, 'c'.repeat(64)], asFile, asFile, asFile],
    ] as const) {
      expect(await outcome('refuse', lfs, { oids, stored })).to.equal(whenRefused)
      expect(await outcome(refusing, lfs, { oids, stored: withSafetensors })).to.equal(whenBeside)
      expect(await outcome(refusing, lfs, { oids, stored })).to.equal(otherwise)
    }
    // An upload brings content, and takes none.
    expect(await outcome('refuse', lfs)).to.equal(passes)
  })

  it('by its hash is refused where nobody lists the files', async () => {
    for (const [url, oids] of [
      ['/kernels/org/k.git/info/lfs/objects/batch', [oid]],
      ['/kernels/org/k.git/info/lfs/objects/batch', []],
    ] as const)
      expect(await outcome('refuse', url, { oids, stored }), url).to.equal(asFile)
  })

  it('is looked up for the revision that is asked for, and at `main` by its hash', async () => {
    const upstream = new RecordingUpstream({}, () =>
      json(200, { siblings: [{ rfilename: 'a', lfs: { sha256: oid } }] }),
    )
    const authority = new Authority(upstream, {})
    expect(await outcome('refuse-if-safetensors', '/org/m/resolve/dev/a.bin', { authority })).to.equal(passes)
    expect(await outcome('refuse', lfs, { oids: [oid], authority })).to.equal(passes)
    expect(upstream.asked.map(({ target }) => target.canonical)).to.deep.equal(
      ['dev', 'main'].flatMap((revision) =>
        ['expand%5B%5D=sha', 'blobs=true'].map((query) => `/api/models/org/m/revision/${revision}?${query}`),
      ),
    )
  })

  it('is not decided by a fault of this server', async () => {
    const broken = new Authority(new RecordingUpstream({}, () => json(404, {}, [['x-error-code', 'Odd']])), {})
    const url = '/org/m/resolve/main/a.bin'
    expect(await outcome('refuse-if-safetensors', url, { authority: broken })).to.equal('404 Odd false')
    const down = new Authority(new RecordingUpstream({}, () => json(500, {})), {})
    expect(await outcome('refuse-if-safetensors', url, { authority: down })).to.equal('503 ListingUnavailable false')
  })
})
