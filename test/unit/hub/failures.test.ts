import { expect } from 'chai'
import {
  describeError,
  entryNotFound,
  Failure,
  InvalidTarget,
  parseTarget,
  quoted,
  repositoryNotFound,
  revisionNotFound,
  UsageFailure,
} from '../../../src/hub/index.ts'

describe("failures in the Hub's own shape", () => {
  const repository = { type: 'dataset', id: 'org/data' } as const
  const commit = 'c'.repeat(40)

  it('have the codes by which clients raise, and name what is missing', () => {
    for (const [failure, code, message] of [
      [repositoryNotFound(repository), 'RepoNotFound', 'Repository not found: datasets/org/data is not mirrored here'],
      [
        revisionNotFound(repository, 'v1'),
        'RevisionNotFound',
        'Invalid rev id: v1 of datasets/org/data is not mirrored here',
      ],
      [entryNotFound('a/b', 'main', commit), 'EntryNotFound', 'Entry not found: a/b does not exist on "main"'],
    ] as const)
      expect([failure.status, failure.code, failure.message]).to.deep.equal([404, code, message])
    expect(entryNotFound('a', 'main', commit).commit).to.equal(commit)
    expect(repositoryNotFound(repository).commit).to.equal(undefined)
    expect(entryNotFound('a', 'main', commit).name).to.equal('HubFailure')
  })

  it('are bad input where a person made it', () => {
    const failure = new UsageFailure('no')
    expect([failure.code, failure.status, failure.message, failure.name]).to.deep.equal([
      ...['BadInput', 400, 'no', 'UsageFailure'],
    ])
  })

  it('quote what a client sent so far as one knows it again', () => {
    for (const length of [0, 1, 199, 200]) expect(quoted('x'.repeat(length))).to.equal('x'.repeat(length))
    for (const length of [201, 10_000]) expect(quoted('x'.repeat(length))).to.equal(`${'x'.repeat(200)}…`)
  })
})

describe('refusals of targets', () => {
  for (const [reason, targets] of Object.entries({
    'expected a path, or an absolute http URL': ['*', 'example.org:443', 'ftp://a/b', 'xhttp://a/b', 'http:///b'],
    'it contains "#"': ['/a b', '/a#b', '/a\\b', '/a\u007f'],
    'not a sequence of bytes': ['/\u0100', '/\u0131'],
    'not valid UTF-8': ['/\u00ff', '/\u00c3', '/a\u00ff'],
    'it contains "." or ".." as a segment': ['/.', '/a/..', '/a/./b', '/a%2F..', '/%2e/x'],
    'not percent-encoded UTF-8': ['/%', '/%zz', '/%ff', '/a%2'],
    'its path contains a control character': ['/%00', '/a%0Ab', '/%7f'],
    'percent-encoded twice': ['/a--b/%252e', '/api/models/%2565vil/m', '/x--y/%25aF'],
    'it names several services of git': ['/org/m/info/refs?service=git-upload-pack&service=git-upload-pack'],
    'only the name of a file may contain': [
      ...['/api/models/org/m/settings/a%5Cb', '/org/m/discussions/a%5Cb', '/api/models/org/m/discussions/%5C'],
      ...['/a%5Cb/c--d', '/api/models/org/m/commit/%5C', '/api/models/org/m/parquet/a%5Cb'],
    ],
    'more than 64 segments': [`/api/papers${'/a'.repeat(63)}`, `/x--y${'/a'.repeat(64)}`, `/org/m${'/a'.repeat(63)}`],
    'no name that git allows': ['/org/m/resolve/a~1/f', '/api/models/org/m/tree/-x'],
    'can be no file of a repository': ['/org/m/resolve/main', `/buckets/org/b/resolve/${'x'.repeat(256)}`],
    'takes full commits only': ['/api/resolve-cache/models/org/m/main/f', '/api/resolve-cache/models/gpt2/main'],
  }))
    for (const raw of targets)
      it(`say why: ${JSON.stringify(raw).slice(0, 50)}`, () => {
        expect(() => parseTarget(raw, '')).to.throw(InvalidTarget, reason)
      })

  it('are none of what the grammar lets be: long paths, and backslashes in names of files', () => {
    for (const url of [
      ...[`/api/papers${'/a'.repeat(62)}`, `/x--y${'/a'.repeat(63)}`, `/org/m${'/a'.repeat(62)}`],
      ...[`/org/m/resolve/main${'/a'.repeat(100)}`, `/api/models/org/m/tree/main${'/a'.repeat(100)}`],
      ...['blame', 'blob', 'raw', 'resolve', 'tree'].map((route) => `/org/m/${route}/main/a%5Cb`),
      ...['/kernels/org/k/raw/main/a%5Cb', '/buckets/org/b/resolve/a%5Cb', '/api/buckets/org/b/tree/a%5Cb'],
      ...['/api/kernels/org/k/tree/main/a%5Cb', `/api/resolve-cache/kernels/org/k/${'a'.repeat(40)}/a%5Cb`],
      ...['/x--y/%25', '/x--y/%25g0', '/x--y/100%25'],
    ])
      expect(() => parseTarget(url, ''), url).not.to.throw()
  })

  it('keep the reason why an encoding is none', () => {
    for (const raw of ['/%ff', '/\u00ff'])
      try {
        parseTarget(raw, '')
        expect.fail(raw)
      } catch (error) {
        expect(error).to.have.property('cause').that.is.instanceOf(Error)
      }
  })
})

describe('errors as one sentence', () => {
  const because = (message: string, cause?: unknown) => new Error(message, { cause })

  it('are their messages down the causes, at most five, none twice', () => {
    for (const [error, text] of [
      [because('a', because('b', because('c'))), 'a: b: c'],
      [because('1', because('2', because('3', because('4', because('5', because('6')))))), '1: 2: 3: 4: 5'],
      [because('connect failed: refused', because('refused')), 'connect failed: refused'],
      [because('a', because('b', because('a'))), 'a: b'],
      [because('', because('b')), 'Error: b'],
      [new TypeError(''), 'TypeError'],
      [because('first line\nsecond', null), 'first line'],
      [because('a', 'text'), 'a: text'],
      [because('a', ''), 'a'],
      ['text', 'text'],
      [null, ''],
      [undefined, ''],
      [new AggregateError([because('a'), because('b')]), 'a, b'],
      [new AggregateError([because('a'), because('b')], 'both'), 'both'],
      [because('x', new Failure('X', 500, 'all is said', { cause: because('noise') })), 'x: all is said'],
    ] as const)
      expect(describeError(error)).to.equal(text)
  })
})
