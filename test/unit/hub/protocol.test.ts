import { expect } from 'chai'
import {
  describeError,
  Failure,
  gitBlobOid,
  ifMatchNames,
  ifNoneMatchNames,
  isRepositoryId,
  isRevision,
  lfsPointer,
  parseRange,
  parseRepositoryFolder,
  repositoryFolder,
} from '../../../src/hub/index.ts'

describe('repository ids', () => {
  for (const id of [
    'gpt2',
    'org/name',
    'o.r_g/n-a.m-e',
    '_x/y_',
    'a'.repeat(96),
    'google/gemma-3-4b-it',
    'ggml-org/models',
    'kestra/datasets',
    'org/resolve',
  ]) {
    it(`accepts ${id.slice(0, 20)}`, () => void expect(isRepositoryId(id)).to.equal(true))
  }
  for (const id of [
    '',
    'a/b/c',
    'a--b',
    'a..b',
    '-a',
    'a-',
    '.a',
    'a.',
    'a b',
    'a'.repeat(97),
    'x.git',
    'x.Git/y',
    'ä',
    'а',
    'api',
    'resolve/name',
    'Models/name',
    'v2',
    'a\n',
    '../etc',
  ]) {
    it(`refuses ${JSON.stringify(id).slice(0, 20)}`, () => void expect(isRepositoryId(id)).to.equal(false))
  }
  it('names folders as the cache of the Hub does, and back', () => {
    const repository = { type: 'dataset', id: 'org/na-me' } as const
    expect(repositoryFolder(repository)).to.equal('datasets--org--na-me')
    expect(parseRepositoryFolder('datasets--org--na-me')).to.deep.equal(repository)
    expect(parseRepositoryFolder('datasets--kestra--datasets')).to.deep.equal({
      type: 'dataset',
      id: 'kestra/datasets',
    })
    expect(parseRepositoryFolder('models--')).to.equal(undefined)
  })
})

describe('revisions', () => {
  for (const name of ['main', 'refs/pr/12', 'feature/x.y', 'v1.0', 'ünïcode'])
    it(`accepts ${name}`, () => void expect(isRevision(name)).to.equal(true))
  for (const name of ['', 'a..b', '/a', 'a/', 'a b', 'a~1', 'x.lock', '.x', '-x', '@', 'a\u0000'])
    it(`refuses ${JSON.stringify(name)}`, () => void expect(isRevision(name)).to.equal(false))
})

describe('ranges', () => {
  for (const [header, expected] of [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=10-', { start: 10, end: 99 }],
    ['bytes=-5', { start: 95, end: 99 }],
    ['bytes=-500', { start: 0, end: 99 }],
    ['bytes=99-200', { start: 99, end: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-4', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=-', undefined],
    ['items=0-1', undefined],
    ['bytes=a-b', undefined],
  ] as const) {
    it(header, () => void expect(parseRange(header, 100)).to.deep.equal(expected))
  }
})

describe('entity tags', () => {
  it('compares weakly for If-None-Match', () => {
    expect(ifNoneMatchNames('"a", W/"b"', 'b')).to.equal(true)
    expect(ifNoneMatchNames('*', 'b')).to.equal(true)
    expect(ifNoneMatchNames('"c"', 'b')).to.equal(false)
  })
  it('compares strongly for If-Match', () => {
    expect(ifMatchNames('"a", "b"', 'b')).to.equal(true)
    expect(ifMatchNames('W/"b"', 'b')).to.equal(false)
  })
})

describe('git', () => {
  it("computes git's own ids", () =>
    void expect(gitBlobOid(Buffer.from('hello\n'))).to.equal('ce013625030ba8dba906f756967f9e9ca394464a'))
  it('writes pointers as git-lfs does', () =>
    void expect(lfsPointer('f'.repeat(64), 3)).to.match(
      /^version https:\/\/git-lfs[^\n]+\noid sha256:f{64}\nsize 3\n$/,
    ))
})

describe('errors for people', () => {
  it('tells the causes of errors that are none of ours, once each', () => {
    expect(describeError(new Error('fetch failed', { cause: new Error('connect ECONNREFUSED') }))).to.equal(
      'fetch failed: connect ECONNREFUSED',
    )
    expect(describeError(new Failure('X', 500, 'all is said', { cause: new Error('noise') }))).to.equal('all is said')
  })
})
