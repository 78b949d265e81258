import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { ContentHasher } from '../../../src/plugin/index.ts'

const large = randomBytes(24 * 1024 * 1024)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('the hash of content as it passes', () => {
  const hasher = new ContentHasher(2)

  it('is the same in a thread and without one, in pieces of any size', async () => {
    const pieces = fc.array(fc.oneof(fc.nat(3), fc.nat(70_000), fc.nat(3_000_000)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (sizes, inThread) => {
        using hash = hasher.start(inThread ? large.length : 0)
        let offset = 0
        for (const size of sizes) {
          await hash.update(large.subarray(offset, offset + size))
          offset += size
        }
        expect(await hash.digest()).to.equal(sha256(large.subarray(0, offset)))
      }),
      { numRuns: 50 },
    )
  })

  it('is right for many contents at a time, more than there are threads', async () => {
    const digests = await Promise.all(
      Array.from({ length: 9 }, async (_, index) => {
        using hash = hasher.start(large.length)
        for (let offset = index; offset < large.length; offset += 1_000_003)
          await hash.update(large.subarray(offset, Math.min(offset + 1_000_003, large.length)))
        return await hash.digest()
      }),
    )
    expect(digests).to.deep.equal(Array.from({ length: 9 }, (_, index) => sha256(large.subarray(index))))
  })

  it('lets the bytes be changed once they are taken in', async () => {
    using hash = hasher.start(large.length)
    const reused = Buffer.alloc(1_000_000)
    for (let value = 0; value < 20; value++) await hash.update(reused.fill(value))
    const expected = Buffer.concat(Array.from({ length: 20 }, (_, value) => Buffer.alloc(1_000_000, value)))
    expect(await hash.digest()).to.equal(sha256(expected))
  })

  it('can be given up', async () => {
    const hash = hasher.start(large.length)
    await hash.update(large)
    hash[Symbol.dispose]()
    using next = hasher.start(large.length)
    await next.update(large)
    expect(await next.digest()).to.equal(sha256(large))
  })
})
