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

  it('are not seen in the name of a file', () => {
    expect(mayOpenXet(parseTarget('/org/m/resolve/main/xet-read-token', '').target)).to.equal(false)
    expect(mayOpenXet(parseTarget('/api/models/org/m/tree/main/xet-read-token', '').target)).to.equal(false)
  })
})
