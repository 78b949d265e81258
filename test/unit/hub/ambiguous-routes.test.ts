import { expect } from 'chai'
import fc from 'fast-check'
import { type Method, parseTarget, requestKindOf } from '../../../src/hub/index.ts'
import { runs } from '../../support/runs.ts'

const seed = 20261125

const kindOf = (method: Method, path: string) => requestKindOf(method, parseTarget(path, '/mirror').target)

/** Routes that change a repository or are an account's, known here or not. */
const powerful = [
  'commit',
  'branch',
  'tag',
  'duplicate',
  'discussions',
  'like',
  'restart',
  'preupload',
  'settings',
].concat('super-squash', 'user-access-request', 'secrets', 'lfs-files', 'unheard-of', 'transfer')
/** Words that are routes here and can be names of repositories at the Hub. */
const names = [
  'paths-info',
  'tree',
  'commits',
  'revision',
  'refs',
  'treesize',
  'xet-read-token',
  'resolve',
  'commit',
  'tag',
]

describe(`paths with several meanings (seed ${seed})`, () => {
  it('give a request that may change something no rights of a reader', () => {
    const word = fc.constantFrom(...names)
    const slash = fc.constantFrom('/', '%2F', '//')
    const letters = (text: string) => fc.mixedCase(fc.constant(text))
    fc.assert(
      fc.property(
        fc.constantFrom('models', 'datasets', 'spaces'),
        fc.constantFrom('attacker', 'gpt2'),
        word,
        fc.constantFrom(...powerful).chain(letters),
        fc.constantFrom('', '/main', '/x/y', '/'),
        slash,
        fc.constantFrom<Method>('POST', 'PUT', 'PATCH', 'DELETE'),
        (collection, owner, name, route, rest, between, method) => {
          // The repository is owner/name, and `route` one of its routes, whatever else the path may mean.
          const path = `/api/${collection}/${owner}/${name}${between}${route}${rest}`
          let kind: string
          try {
            kind = kindOf(method, path)
          } catch {
            return // refused altogether
          }
          expect(kind, `${method} ${path}`).to.be.oneOf(['write', 'account'])
        },
      ),
      { numRuns: runs(20_000), seed },
    )
  })

  it('give a canonical repository called like an owner no rights of a reader either', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('commit', 'branch', 'tag', 'preupload', 'settings'),
        fc.constantFrom(...names),
        fc.constantFrom('main', 'x', 'v1.0'),
        fc.constantFrom('/', '%2F'),
        fc.constantFrom<Method>('POST', 'DELETE'),
        (route, revision, rest, between, method) => {
          const path = `/api/models/gpt2/${route}/${revision}${between}${rest}`
          let kind: string
          try {
            kind = kindOf(method, path)
          } catch {
            return
          }
          expect(kind, `${method} ${path}`).to.be.oneOf(['write', 'account'])
        },
      ),
      { numRuns: runs(2_000), seed },
    )
  })

  for (const repository of ['org/name', 'gpt2', 'ggml-org/models'])
    for (const revision of [
      'main',
      'v1.0',
      '0123456789abcdef0123456789abcdef01234567',
      'refs%2Fpr%2F1',
      'refs/convert/parquet',
    ])
      it(`lets paths-info of ${repository} at ${revision} be read`, () => {
        expect(kindOf('POST', `/api/models/${repository}/paths-info/${revision}`)).to.equal('read')
      })

  for (const path of ['/api/models/attacker/tree/user-access-request/pending', '/api/models/attacker/tree/secrets/x'])
    it(`counts as an account's what may be one's: ${path}`, () => {
      expect(kindOf('GET', path)).to.equal('account')
    })
})
