import { expect } from 'chai'
import fc from 'fast-check'
import { mayOpenXet, parseTarget } from '../../../src/hub/index.ts'
import { runs } from '../../support/runs.ts'

const seed = 20261125

describe(`tokens of the Hub's content store (seed ${seed})`, () => {
  it('are recognised on whatever route, in whatever spelling', () => {
    const base = fc.constantFrom(
      '/api/models/org/m',
      '/api/models/gpt2',
      '/api/datasets/org/d',
      '/api/kernels/org/k',
      '/api/buckets/org/b',
      '/api/spaces/org/s',
      '/api/unknown/org/u',
    )
    const word = fc.constantFrom('xet-read-token', 'xet-write-token').chain((text) => fc.mixedCase(fc.constant(text)))
    const rest = fc.constantFrom('', '/', '/main', '/main/', '/main/x', '/refs%2Fpr%2F1', '//main', '?x=y')
    const prefix = fc.constantFrom('', '/mirror', '/')
    fc.assert(
      fc.property(prefix, base, word, rest, (before, path, token, after) => {
        let target: ReturnType<typeof parseTarget>['target']
        try {
          target = parseTarget(`${before}${path}/${token}${after}`, '/mirror').target
        } catch {
          return // refused altogether
        }
        expect(mayOpenXet(target), target.canonical).to.equal(true)
      }),
      { numRuns: runs(5_000), seed },
    )
  })

  it('are recognised in whatever a path may mean, wherever the word stands before the path of a file', () => {
    const token = fc.constantFrom('xet-read-token', 'xet-write-token', 'XET-Read-Token')
    const word = fc.oneof(
      { weight: 2, arbitrary: token },
      { weight: 3, arbitrary: fc.constantFrom('tree', 'treesize', 'commits', 'revision', 'refs', 'paths-info') },
      { weight: 3, arbitrary: fc.constantFrom('org', 'gpt2', 'main', 'x', 'pr', '1') },
    )
    const collection = fc.constantFrom('models', 'datasets', 'spaces', 'kernels', 'buckets')
    const between = fc.constantFrom('/', '/', '%2F')
    const isToken = (operation: string) => operation === 'xet-read-token' || operation === 'xet-write-token'
    let recognised = 0
    fc.assert(
      fc.property(
        collection,
        fc.array(word, { minLength: 2, maxLength: 6 }),
        fc.array(between),
        (type, words, slashes) => {
          const path = words.map((one, index) => (index === 0 ? '' : (slashes[index] ?? '/')) + one).join('')
          let target: ReturnType<typeof parseTarget>['target']
          try {
            target = parseTarget(`/api/${type}/${path}`, '').target
          } catch {
            return // refused altogether
          }
          const opens = [target, ...target.alternatives].some(({ operation }) => isToken(operation))
          const before = words.slice(
            0,
            words.length - ('path' in target ? target.path.split('/').filter(Boolean).length : 0),
          )
          const isSaid = before.some((one) => isToken(one.toLowerCase()))
          if (opens) recognised++
          if (opens || isSaid) expect(mayOpenXet(target), target.canonical).to.equal(true)
          else expect(mayOpenXet(target), target.canonical).to.equal(false)
        },
      ),
      { numRuns: runs(5_000), seed },
    )
    expect(recognised).to.be.greaterThan(runs(5_000) / 20)
    for (const path of [
      '/api/models/gpt2/xet-read-token/tree%2Fmain',
      '/api/models/gpt2/xet-read-token/tree/main',
      '/api/models/org/tree/xet-read-token/main/x',
      '/api/models/org/treesize/xet-write-token',
    ])
      expect(mayOpenXet(parseTarget(path, '').target), path).to.equal(true)
  })

  it('are not seen in the name of a file', () => {
    expect(mayOpenXet(parseTarget('/org/m/resolve/main/xet-read-token', '').target)).to.equal(false)
    expect(mayOpenXet(parseTarget('/api/models/org/m/tree/main/xet-read-token', '').target)).to.equal(false)
  })
})
