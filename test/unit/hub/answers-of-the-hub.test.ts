import { expect } from 'chai'
import { spellQuery } from '../../../src/hub/format-target.ts'
import {
  commitsSchema,
  formatTarget,
  ifMatchNames,
  ifNoneMatchNames,
  parseRange,
  parseTarget,
  refsSchema,
  repositoryInfoSchema,
  treePageSchema,
  unquoteETag,
} from '../../../src/hub/index.ts'

const commit = '0123456789abcdef0123456789abcdef01234567'
const notCommits = [
  commit.slice(1),
  `${commit}0`,
  `x${commit.slice(1)}`,
  `${commit.slice(1)}x`,
  commit.toUpperCase(),
  5,
]

describe("the Hub's JSON", () => {
  it('of a repository has an id and a commit, and keeps the rest', () => {
    const info = { id: 'org/m', sha: commit, more: [1] }
    expect(repositoryInfoSchema.parse(info)).to.deep.equal(info)
    for (const sha of notCommits) expect(repositoryInfoSchema.safeParse({ ...info, sha }).success).to.equal(false)
    expect(repositoryInfoSchema.safeParse({ sha: commit }).success).to.equal(false)
  })

  it('of a tree is files and folders alone, as far as they are read', () => {
    const sha256 = 'f'.repeat(64)
    const file = { type: 'file', path: 'a', size: 7, oid: commit, lfs: { oid: sha256, size: 7, pointerSize: 1 } }
    const folder = { type: 'directory', path: 'd', size: 0, oid: commit }
    expect(
      treePageSchema.parse([{ ...file, more: 1 }, { type: 'submodule' }, { ...folder, size: undefined }]),
    ).to.deep.equal([file, folder])
    expect(treePageSchema.parse([{ ...file, xetHash: 'h', lfs: { oid: sha256, size: 7 } }])).to.deep.equal([
      { ...file, xetHash: 'h', lfs: { oid: sha256, size: 7 } },
    ])
    for (const bad of [
      ...[{ ...file, path: 1 }, { ...file, size: -1 }, { ...file, size: 1.5 }, { type: 'file' }, { type: 1 }],
      ...notCommits.map((oid) => ({ ...file, oid })),
      ...[sha256.slice(1), `${sha256}0`, `x${sha256.slice(1)}`].map((oid) => ({ ...file, lfs: { oid, size: 1 } })),
      { ...file, lfs: { oid: sha256 } },
    ])
      expect(treePageSchema.safeParse([bad]).success, JSON.stringify(bad)).to.equal(false)
  })

  it('of refs has each kind, none where it says nothing', () => {
    const ref = { name: 'main', ref: 'refs/heads/main', targetCommit: commit }
    expect(refsSchema.parse({})).to.deep.equal({ branches: [], tags: [], converts: [] })
    const all = { branches: [ref], tags: [ref], converts: [ref], pullRequests: [ref] }
    expect(refsSchema.parse(all)).to.deep.equal(all)
    for (const kind of Object.keys(all))
      for (const bad of [{}, { ...ref, targetCommit: 'x' }, { ...ref, name: 1 }, { ...ref, ref: undefined }])
        expect(refsSchema.safeParse({ [kind]: [bad] }).success, kind).to.equal(false)
  })

  it('of commits has ids and titles, and keeps the rest', () => {
    const one = { id: commit, title: 't', authors: [] }
    expect(commitsSchema.parse([one])).to.deep.equal([one])
    for (const bad of [{ id: commit }, { title: 't' }, null])
      expect(commitsSchema.safeParse([bad]).success).to.equal(false)
  })
})

describe('conditions and ranges', () => {
  it('name tags, weak and strong, and everything by a star', () => {
    for (const [header, weak, strong] of [
      ['*', true, true],
      [' * ', true, true],
      ['"b"', true, true],
      ['W/"b"', true, false],
      ['"a", "b"', true, true],
      ['"a" , W/"b"', true, false],
      ['b', true, false],
      ['"a"', false, false],
      ['"ab"', false, false],
      ['xW/"b"', false, false],
      ['x"b"', false, false],
      ['"b"x', false, false],
      ['', false, false],
      ['**', false, false],
    ] as const) {
      expect(ifNoneMatchNames(header, 'b'), header).to.equal(weak)
      expect(ifMatchNames(header, 'b'), header).to.equal(strong)
    }
    for (const [etag, opaque] of [
      ['"abc"', 'abc'],
      [' W/"abc" ', 'abc'],
      ['""', ''],
      ['"a', '"a'],
      ['aW/"b"', 'aW/"b"'],
    ] as const)
      expect(unquoteETag(etag)).to.equal(opaque)
  })

  it('are of bytes, in any case, and of nothing around', () => {
    for (const header of ['BYTES=1-2', 'bytes= 1-2', 'bytes=1-2 '])
      expect(parseRange(header, 10)).to.deep.equal({ start: 1, end: 2 })
    for (const header of ['xbytes=1-2', 'bytes=1-2x', 'bytes 1-2', ''])
      expect(parseRange(header, 10)).to.equal(undefined)
    expect(parseRange('bytes=0-', 0)).to.equal('unsatisfiable')
    expect(parseRange('bytes=3-3', 10)).to.deep.equal({ start: 3, end: 3 })
    expect(parseRange('bytes=-10', 10)).to.deep.equal({ start: 0, end: 9 })
  })
})

describe('queries', () => {
  it('that are spelled as they should be stay as they are', () => {
    for (const query of ['', 'a=b', 'a=', 'a=b&c=', 'a=b&c=d&e=f', 'ab=cd&ef=gh&i*.-_=0'])
      expect(spellQuery(query)).to.equal(query)
    for (const [query, spelled] of [
      ['a', 'a='],
      ['=', '='],
      ['a=b&', 'a=b'],
      ['&a=b', 'a=b'],
      ['a=b&c', 'a=b&c='],
      ['a=b&&c=d', 'a=b&c=d'],
      ['a=%20', 'a=+'],
      ["a='", 'a=%27'],
      ['é=1', '%C3%A9=1'],
      ['a=b?', 'a=b%3F'],
      ['?a=b', 'a=b'],
    ] as const) {
      expect(spellQuery(query), query).to.equal(spelled)
      expect(spellQuery(new URLSearchParams(query)), query).to.equal(spelled)
    }
  })

  it('are those of git where it is git that is asked, and none by themselves', () => {
    const repository = { type: 'model', id: 'org/m' } as const
    const refs = formatTarget({ operation: 'git-refs', repository, service: 'git-upload-pack' }, 'x=y')
    expect(refs.query).to.equal('service=git-upload-pack')
    const info = formatTarget({ operation: 'info', repository })
    expect([info.canonical, info.query]).to.deep.equal(['/api/models/org/m', ''])
    expect(formatTarget({ operation: 'info', repository }, [['a', 'b']]).canonical).to.equal('/api/models/org/m?a=b')
    for (const url of ['/org/m/settings?a=b', '/api/models/org/m?a=b', '/org/m/resolve/main/info?a=b'])
      expect(parseTarget(url, '').target.query).to.equal('a=b')
    expect(parseTarget('/org/m/info/refs?a=b', '').target.query).to.equal('')
    expect(parseTarget('http://host?a=b', '').target.canonical).to.equal('/?a=b')
  })
})
