import { expect } from 'chai'
import fc from 'fast-check'
import {
  formatHubPath,
  type HubOperation,
  type HubRequest,
  isFilePath,
  isRepositoryId,
  isRevision,
  parseHubPath,
} from '../../../src/hub/index.ts'

const commit = 'a'.repeat(40)
const word = fc.stringMatching(/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,20}[A-Za-z0-9_])?$/)
const id = fc
  .oneof(
    word,
    fc.tuple(word, word).map((parts) => parts.join('/')),
  )
  .filter(isRepositoryId)
const repository = fc.record({ type: fc.constantFrom('model', 'dataset', 'space'), id })
const revision = fc.oneof(
  fc.constantFrom('main', 'refs/pr/1', 'refs/convert/parquet', commit, 'feature/x', 'v1.0'),
  fc.string({ unit: 'binary' }).filter(isRevision),
)
const path = fc.oneof(
  fc.constantFrom('config.json', 'a b/c#d+e%20.bin', 'ümlaut/日本語.txt', '.gitattributes'),
  fc
    .array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
    .filter(isFilePath),
)
const folder = fc.oneof(fc.constant(''), path)

function request(operation: HubOperation): fc.Arbitrary<HubRequest> {
  switch (operation) {
    case 'resolve':
    case 'raw':
      return fc.record({ operation: fc.constant(operation), repository, revision, path }) as fc.Arbitrary<HubRequest>
    case 'resolve-cache':
      return fc.record({
        operation: fc.constant(operation),
        repository,
        revision: fc.constant(commit),
        path,
      }) as fc.Arbitrary<HubRequest>
    case 'tree':
    case 'treesize':
      return fc.record({
        operation: fc.constant(operation),
        repository,
        revision,
        path: folder,
      }) as fc.Arbitrary<HubRequest>
    case 'info':
      return fc.record(
        { operation: fc.constant(operation), repository, revision },
        { requiredKeys: ['operation', 'repository'] },
      ) as fc.Arbitrary<HubRequest>
    case 'refs':
    case 'auth-check':
      return fc.record({ operation: fc.constant(operation), repository }) as fc.Arbitrary<HubRequest>
    default:
      return fc.record({ operation: fc.constant(operation), repository, revision }) as fc.Arbitrary<HubRequest>
  }
}

describe('the URL grammar of the Hub', () => {
  for (const operation of [
    'resolve',
    'raw',
    'resolve-cache',
    'info',
    'tree',
    'treesize',
    'paths-info',
    'commits',
    'refs',
    'auth-check',
    'xet-read-token',
  ] as const) {
    it(`reads back every URL that it writes: ${operation}`, () => {
      fc.assert(
        fc.property(
          request(operation),
          (given) => void expect(parseHubPath(formatHubPath(given))).to.deep.equal(given),
        ),
        { numRuns: 500 },
      )
    })
  }

  it('never yields a path that escapes, whatever the URL (fault 8)', () => {
    const piece = fc.constantFrom(
      '..',
      '.',
      '%2e%2e',
      '%2F',
      '%5C',
      '%00',
      '%252e',
      'resolve',
      'raw',
      'main',
      'org',
      'name',
      'api',
      'models',
      'datasets',
      'tree',
      '',
      '%',
      '%ff',
      'refs',
      'pr',
      '1',
      '%0d%0a',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece, { maxLength: 9 }).map((parts) => `/${parts.join('/')}`),
          fc.string(),
        ),
        (url) => {
          const parsed = parseHubPath(url)
          if (!('repository' in parsed)) return
          expect(isRepositoryId(parsed.repository.id)).to.equal(true)
          if ('path' in parsed && parsed.path !== '')
            expect(parsed.path.split('/')).to.not.include.oneOf(['..', '.', ''])
          if ('revision' in parsed && parsed.revision !== undefined) expect(parsed.revision).to.not.include('..')
        },
      ),
      { numRuns: 20_000 },
    )
  })

  for (const [url, expected] of [
    [
      '/gpt2/resolve/main/config.json',
      { operation: 'resolve', repository: { type: 'model', id: 'gpt2' }, revision: 'main', path: 'config.json' },
    ],
    [
      '/datasets/squad/resolve/refs%2Fconvert%2Fparquet/a/b.parquet',
      {
        operation: 'resolve',
        repository: { type: 'dataset', id: 'squad' },
        revision: 'refs/convert/parquet',
        path: 'a/b.parquet',
      },
    ],
    [
      '/datasets/org/d/resolve/refs/convert/parquet/a.parquet',
      {
        operation: 'resolve',
        repository: { type: 'dataset', id: 'org/d' },
        revision: 'refs/convert/parquet',
        path: 'a.parquet',
      },
    ],
    [
      '/api/models/org/m/tree/refs/pr/1/sub',
      { operation: 'tree', repository: { type: 'model', id: 'org/m' }, revision: 'refs/pr/1', path: 'sub' },
    ],
    [
      '/api/models/org/m/tree/main/a%2Fb',
      { operation: 'tree', repository: { type: 'model', id: 'org/m' }, revision: 'main', path: 'a/b' },
    ],
    ['/api/models/gpt2', { operation: 'info', repository: { type: 'model', id: 'gpt2' } }],
    [
      '/api/spaces/org/s/revision/main',
      { operation: 'info', repository: { type: 'space', id: 'org/s' }, revision: 'main' },
    ],
    ['/api/resolve-cache/models/gpt2/AAAA/f', { operation: 'other' }],
    ['/api/whoami-v2', { operation: 'other' }],
    ['/api/models', { operation: 'other' }],
    ['/api/models/org/m/discussions', { operation: 'other' }],
    ['/org/name.git/info/refs', { operation: 'other' }],
    ['/a--b/resolve/main/f', { operation: 'other' }],
  ] as const) {
    it(`reads ${url}`, () => void expect(parseHubPath(url)).to.deep.equal(expected))
  }

  for (const url of [
    '/org/name/resolve/main/../../x',
    '/org/name/resolve/main/%2e%2e/x',
    '/org/name/resolve/main/a%2F..%2Fx',
    '/x%00',
    '/x%5cy',
    '/%ff',
    '/a%0d%0ab',
  ]) {
    it(`refuses ${url} (fault 8)`, () => void expect(parseHubPath(url).operation).to.equal('invalid'))
  }
})
