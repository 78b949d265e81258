import { expect } from 'chai'
import {
  encodeFilePath,
  foldersAbove,
  formatRepository,
  isCommit,
  isFilePath,
  isRepositoryId,
  isRepositoryName,
  isRevision,
  isShortCommit,
  parseRepository,
  parseRepositoryFolder,
  parseRevision,
  shortRevision,
  UsageFailure,
} from '../../../src/hub/index.ts'

describe('names of repositories', () => {
  for (const word of ['api', 'blob', 'buckets', 'datasets', 'kernels', 'models', 'raw', 'resolve', 'spaces', 'v2'])
    it(`are no route's words where a route begins: ${word}`, () => {
      for (const text of [word, word.toUpperCase()]) {
        expect([text, `${text}/name`, `org/${text}`].map(isRepositoryId)).to.deep.equal([false, false, true])
      }
      expect(isRepositoryId(`${word}x`)).to.equal(true)
    })

  it('end in .git nowhere, and may have it inside', () => {
    expect(['a.git', 'a.GIT', 'a.gitx', 'a.git.b', 'agit'].map(isRepositoryName)).to.deep.equal([
      ...[false, false, true, true, true],
    ])
  })

  it('that a person typed are read, or refused with what is expected', () => {
    expect(parseRepository('dataset', 'org/d')).to.deep.equal({ type: 'dataset', id: 'org/d' })
    expect(() => parseRepository('model', 'a--b')).to.throw(UsageFailure, '"a--b" is not a repository: expected')
    expect(parseRevision('refs/pr/1')).to.equal('refs/pr/1')
    expect(() => parseRevision('a..b')).to.throw(UsageFailure, '"a..b" is not a revision: expected')
  })

  it('are told with their type in front, unless they are models', () => {
    expect(
      (['model', 'dataset', 'space'] as const).map((type) => formatRepository({ type, id: 'org/x' })),
    ).to.deep.equal([...['org/x', 'datasets/org/x', 'spaces/org/x']])
  })

  it('of folders that are none of the cache are none', () => {
    for (const folder of ['', 'models', 'models--', 'kernels--org--k', 'org--name', 'models--a--b--c', 'models--api'])
      expect(parseRepositoryFolder(folder), folder).to.equal(undefined)
    expect(parseRepositoryFolder('spaces--gpt2')).to.deep.equal({ type: 'space', id: 'gpt2' })
  })
})

describe('commits and revisions', () => {
  it('are commits whole, or of seven digits or more', () => {
    for (const [digits, kind] of [
      [6, 'none'],
      [7, 'short'],
      [39, 'short'],
      [40, 'full'],
      [41, 'none'],
    ] as const) {
      const text = 'a0'.repeat(21).slice(0, digits)
      expect([isShortCommit(text), isCommit(text)], text).to.deep.equal([kind === 'short', kind === 'full'])
      for (const other of [`x${text.slice(1)}`, `${text.slice(1)}x`, text.toUpperCase(), `${text}\n`])
        expect([isShortCommit(other), isCommit(other)], other).to.deep.equal([false, false])
    }
  })

  it('are as long as a name of a file may be', () => {
    for (const [length, isOne] of [
      [1, true],
      [239, true],
      [240, true],
      [241, false],
    ] as const) {
      expect(isRevision('x'.repeat(length))).to.equal(isOne)
      // The same where the quick test does not know it.
      expect(isRevision(`${'x'.repeat(length - 1)}ü`.slice(-length)), `${length} with an umlaut`).to.equal(length < 240)
      expect(isRevision(`${'x.'.repeat(120)}`.slice(-length)), `${length} with dots`).to.equal(false)
      if (length > 2) expect(isRevision(`x.${'x'.repeat(length - 2)}`), `${length} with a dot`).to.equal(isOne)
    }
  })

  for (const text of [
    'a.',
    'a/.b',
    'a/b.lock',
    'a.lock/b',
    'a//b',
    'a@{b',
    'a\\b',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    '\ud800',
  ])
    it(`are not what git refuses: ${JSON.stringify(text)}`, () => void expect(isRevision(text)).to.equal(false))
  for (const text of ['a.b', 'a@b', '@a', 'a.lockx', 'lock', 'a]', 'a}', '_', '0', 'a-'])
    it(`are what git allows: ${text}`, () => void expect(isRevision(text)).to.equal(true))

  it('are short without the folder of branches and tags', () => {
    for (const [long, short] of [
      ['refs/heads/main', 'main'],
      ['refs/tags/v1', 'v1'],
      ['refs/pr/1', 'refs/pr/1'],
      ['main', 'main'],
      ['refs/heads/refs/tags/x', 'refs/tags/x'],
      ['x/refs/heads/main', 'x/refs/heads/main'],
    ] as const)
      expect(shortRevision(long)).to.equal(short)
  })
})

describe('paths of files', () => {
  it('have no segment that is none, and none too long', () => {
    for (const [path, isOne] of [
      ['', false],
      ['a', true],
      ['a/b', true],
      ['/a', false],
      ['a/', false],
      ['a//b', false],
      ['.', false],
      ['..', false],
      ['a/./b', false],
      ['a/../b', false],
      ['...', true],
      ['a/.b', true],
      ['a\u0000', false],
      ['a\u001f', false],
      ['a\u007f', false],
      ['a ', true],
      ['\ud800', false],
      ['x'.repeat(255), true],
      ['x'.repeat(256), false],
      ['ü'.repeat(127), true],
      ['ü'.repeat(128), false],
      ['日'.repeat(85), true],
      ['日'.repeat(86), false],
      [`a/${'x'.repeat(256)}/b`, false],
      [`${'x'.repeat(127)}/`.repeat(31) + 'x'.repeat(128), true],
      [`${'x'.repeat(127)}/`.repeat(31) + 'x'.repeat(129), false],
    ] as const)
      expect(isFilePath(path), `${path.slice(0, 20)} of ${path.length}`).to.equal(isOne)
  })

  it('are encoded segment by segment', () => {
    for (const [path, encoded] of [
      ['a/b-c_d.e~f', 'a/b-c_d.e~f'],
      ['a b/c#d?e%f', 'a%20b/c%23d%3Fe%25f'],
      ['ü', '%C3%BC'],
    ] as const)
      expect(encodeFilePath(path)).to.equal(encoded)
  })

  it('have these folders above them, parents first', () => {
    expect(foldersAbove(['b/c/d', 'a', 'b/c/e', 'b/x/y/z', 'a-/f'])).to.deep.equal(['a-', 'b', 'b/c', 'b/x', 'b/x/y'])
    expect(foldersAbove(['a', 'b'])).to.deep.equal([])
  })
})
