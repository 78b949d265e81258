import { isDeepStrictEqual } from 'node:util'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  formatTarget,
  InvalidTarget,
  isRepositoryId,
  parseTarget,
  type SpelledAddress,
  type Target,
} from '../../../src/hub/index.ts'
import { anyCharacter } from '../../support/any-text.ts'
import { runs } from '../../support/runs.ts'
import { address, anyTarget, commit, name, namespace, spelledOperations } from './arbitraries.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_125)

function parse(raw: string, prefix = ''): Target {
  return parseTarget(raw, prefix).target
}

/** `undefined` where the target is refused, which is the only error that parsing may end with. */
function parseIfValid(raw: string, prefix = ''): Target | undefined {
  try {
    return parse(raw, prefix)
  } catch (error) {
    expect(error).to.be.instanceOf(InvalidTarget)
    return undefined
  }
}

describe(`request targets (seed ${seed})`, function () {
  this.timeout(120_000)

  for (const operation of spelledOperations) {
    it(`reads back what it writes: ${operation}`, () => {
      const query = fc.array(fc.tuple(fc.string({ unit: anyCharacter }), fc.string({ unit: anyCharacter })), {
        maxLength: 3,
      })
      fc.assert(
        fc.property(address(operation), query, (given, pairs) => {
          const target = formatTarget(given, pairs)
          const parsed = parse(target.canonical)
          // What else a path may mean is known from the path only.
          if (isDeepStrictEqual({ ...parsed, alternatives: [], pair: undefined }, target)) return
          // Two routes have this spelling: `/api/models/org/refs`, `/org/resolve/resolve/main/f`.
          expect(looksLikeAnotherRoute(given), target.canonical).to.equal(true)
        }),
        { numRuns: runs(10_000), seed },
      )
    })
  }

  it('spells what no parser of URLs alters, whatever the origin', () => {
    fc.assert(
      fc.property(anyTarget, fc.constantFrom('http://a', 'https://b.example:8443', 'http://[::1]:1'), (raw, origin) => {
        const canonical = parseIfValid(raw, '/mirror')?.canonical
        if (canonical === undefined) return
        const url = new URL(origin + canonical)
        expect(url.pathname + url.search).to.equal(canonical)
        expect(url.origin).to.equal(origin)
        expect(canonical).to.match(/^\/(?!\/)[!-~]*$/)
        // A base URL's path, as upstreams have it, makes no difference.
        expect(new URL(`${origin}/base${canonical}`).pathname).to.equal(`/base${url.pathname}`)
      }),
      { numRuns: runs(30_000), seed },
    )
  })

  it('reads the canonical spelling as the same target, with and without the prefix', () => {
    fc.assert(
      fc.property(anyTarget, (raw) => {
        const target = parseIfValid(raw)
        if (target === undefined) return
        expect(parse(target.canonical)).to.deep.equal(target)
        expect(parseTarget(`/mirror${target.canonical}`, '/mirror')).to.deep.equal({ prefix: '/mirror', target })
        expect(parse(`http://elsewhere${target.canonical}`)).to.deep.equal(target)
      }),
      { numRuns: runs(30_000), seed },
    )
  })

  it('never yields operands that escape, whatever the target (fault 8)', () => {
    fc.assert(
      fc.property(anyTarget, (raw) => {
        const target = parseIfValid(raw, '/mirror')
        if (target === undefined) return
        for (const repository of target.readings) expect(isRepositoryId(repository.id)).to.equal(true)
        if ('repository' in target) expect(target.readings).to.deep.include(target.repository)
        if ('path' in target && target.path !== '') expect(target.path.split('/')).to.not.include.oneOf(['..', '.', ''])
        if ('revision' in target && target.revision !== undefined) expect(target.revision).to.not.include('..')
        expect(target.segments).to.not.include.oneOf(['..', '.', ''])
      }),
      { numRuns: runs(30_000), seed },
    )
  })

  it('finds the repository in every route that names one, in every spelling that means the same', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...routes),
        namespace,
        name,
        fc.infiniteStream(fc.nat(7)),
        (route, org, repo, dice) => {
          const id = `${org}/${repo}`
          const [type = '', template = ''] = splitOnce(route)
          const plain = template.replace('ID', id)
          const target = parse(plain)
          const expected = { type, id }
          if (!routeLike.has(repo)) expect(target.readings, plain).to.deep.equal([expected])
          // `/api/models/org/refs` is known to be the refs of `org`: clients ask canonical repositories for them.
          else if (!template.endsWith('/ID')) expect(target.readings, plain).to.deep.include(expected)
          if (routeLike.has(repo)) return // what follows may be a revision, whose letters' case counts
          const respelled = parse(respell(plain, id, dice), '/mirror')
          expect(respelled, plain).to.deep.equal(target)
        },
      ),
      { numRuns: runs(20_000), seed },
    )
  })
})

/** Whether a name stands where another route has its word. */
function looksLikeAnotherRoute(given: SpelledAddress): boolean {
  if (!('repository' in given)) return false
  const [, repositoryName] = given.repository.id.split('/')
  const next = repositoryName ?? ('revision' in given ? given.revision : undefined)
  return next !== undefined && routeLike.has(next)
}

function splitOnce(route: string): string[] {
  const colon = route.indexOf(':')
  return [route.slice(0, colon), route.slice(colon + 1)]
}

const routeLike = new Set(['models', 'datasets', 'spaces', 'resolve', 'raw', 'tree', 'refs', 'info', 'settings'])

/** Every route that clients use and that names a repository. */
const routes = [
  'model:/ID/resolve/main/config.json',
  'model:/ID/raw/main/a/b.txt',
  'model:/ID/blob/main/README.md',
  'model:/ID.git/info/refs?service=git-upload-pack',
  'model:/ID/info/refs?service=git-receive-pack',
  'model:/ID/git-upload-pack',
  'model:/ID.git/git-receive-pack',
  'model:/ID.git/info/lfs/objects/batch',
  'model:/ID/info/lfs/locks/verify',
  'model:/v2/ID/manifests/latest',
  `model:/v2/ID/blobs/sha256:${'0'.repeat(64)}`,
  `model:/api/resolve-cache/models/ID/${commit}/config.json`,
  `dataset:/api/resolve-cache/datasets/ID/${commit}/a/b.json`,
  'dataset:/datasets/ID.git/info/refs?service=git-upload-pack',
  ...['model', 'dataset', 'space'].flatMap((type) =>
    [
      ...['', '/revision/main', '/tree/main/a', '/refs', '/commits/main', '/paths-info/main', '/treesize/main/a'],
      ...['/xet-read-token/main', '/xet-write-token/main', '/preupload/main', '/commit/main', '/branch/b', '/tag/v'],
      ...[
        '/auth-check',
        '/discussions',
        '/discussions/1/merge',
        '/settings',
        '/duplicate',
        '/lfs-files',
        '/super-squash/main',
      ],
    ].map((route) => `${type}:/api/${type}s/ID${route}`),
  ),
  'space:/spaces/ID/resolve/main/app.py',
  'dataset:/datasets/ID/resolve/refs%2Fconvert%2Fparquet/a.parquet',
  'kernel:/kernels/ID/resolve/main/a/b.so',
  'kernel:/api/kernels/ID',
  'kernel:/api/kernels/ID/tree/main/a',
  'bucket:/api/buckets/ID/tree',
  'bucket:/api/buckets/ID/batch',
  'bucket:/buckets/ID/resolve/a/b.bin',
]

/** Writes the same target otherwise: case of route words, doubled slashes, encodings, prefix, absolute-form. */
function respell(plain: string, id: string, dice: fc.Stream<number>): string {
  const [path = '', query] = plain.split('?')
  const segments = path.slice(1).split('/')
  const fixed = new Set([
    ...id.split('/'),
    ...segments.slice(-1),
    ...segments.filter((text) => /^(main|[ab]|a{40})$/.test(text)),
  ])
  const respelled = segments.map((segment) => {
    const roll = dice.next().value ?? 0
    if (roll === 0) return `/${segment}`
    if (roll === 1 && !fixed.has(segment) && /^[a-z-]+$/.test(segment)) return segment.toUpperCase()
    if (roll === 2 && /^\w/.test(segment)) return `%${segment.charCodeAt(0).toString(16)}${segment.slice(1)}`
    return segment
  })
  const head = ['', '/mirror', 'http://anywhere:1', 'http://a@b/mirror'][(dice.next().value ?? 0) % 4]
  return `${head}/${respelled.join('/')}${query === undefined ? '' : `?${query}`}`
}
