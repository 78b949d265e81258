import { expect } from 'chai'
import fc from 'fast-check'
import { openCapability, sealCapability } from '../../../../src/server/gate/follow-seal.ts'
import { newSealSecret, Seals } from '../../../../src/server/gate/seal.ts'
import { runs } from '../../../support/runs.ts'

const seed = 20_261_125
const first = 'a'.repeat(32)
const second = 'b'.repeat(32)

describe('seals', () => {
  it('open to what was sealed, whatever that was', () => {
    const seals = new Seals([newSealSecret()])
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const seal = seals.seal('follow', text)
        expect(seal).to.match(/^[A-Za-z0-9_-]+$/)
        expect(seals.open('follow', seal)).to.equal(text)
        expect(seals.open('xet', seal)).to.equal(undefined)
      }),
      { seed },
    )
  })

  it('do not open after any change of any byte, cut, or with another secret', () => {
    const seals = new Seals([first])
    const seal = seals.seal('follow', 'https://cdn.example/x')
    const bytes = Buffer.from(seal, 'base64url')
    for (let index = 0; index < bytes.length; index++) {
      for (const change of [1, 0x80]) {
        const altered = Buffer.from(bytes)
        altered[index] = (altered[index] ?? 0) ^ change
        expect(seals.open('follow', altered.toString('base64url')), `byte ${index}`).to.equal(undefined)
      }
      expect(seals.open('follow', bytes.subarray(0, index).toString('base64url'))).to.equal(undefined)
    }
    for (const other of [`${seal}=`, `${seal}A`, ` ${seal}`, seal.replaceAll('_', '/'), ''])
      if (other !== seal) expect(seals.open('follow', other)).to.equal(undefined)
    expect(new Seals([second]).open('follow', seal)).to.equal(undefined)
  })

  it('are made by the first secret and opened by all', () => {
    const old = new Seals([first]).seal('follow', 'x')
    const rotated = new Seals([second, first])
    expect(rotated.open('follow', old)).to.equal('x')
    expect(new Seals([second]).open('follow', rotated.seal('follow', 'y'))).to.equal('y')
    expect(new Seals([first]).open('follow', rotated.seal('follow', 'y'))).to.equal(undefined)
  })

  it('take random text for no seal, without an error', () => {
    const seals = new Seals([first])
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.uint8Array().map((all) => Buffer.from(all).toString('base64url')),
        ),
        (text) => {
          expect(seals.open('follow', text)).to.equal(undefined)
        },
      ),
      { numRuns: runs(2_000), seed },
    )
  })

  it('of URLs hold for an hour, and a minute for clocks', () => {
    const seals = new Seals([first])
    const now = Date.UTC(2026, 0, 1)
    const repository = { type: 'model', id: 'org/model' } as const
    const expected = { url: 'https://cdn.example/x?Signature=1', repository, upstream: 'hub', mayChange: true }
    const seal = sealCapability(seals, expected, now)
    expect(openCapability(seals, seal, now)).to.deep.equal(expected)
    expect(openCapability(seals, seal, now + 3_660_000)).to.deep.equal(expected)
    expect(openCapability(seals, seal, now + 3_661_000)).to.equal(undefined)
    expect(openCapability(seals, 'x', now)).to.equal(undefined)
  })
})
