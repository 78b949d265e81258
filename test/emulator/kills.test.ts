import { killAtRandom, rounds } from '../faults/kills/play.ts'
import { killPulling } from '../faults/kills/pulling.ts'
import { bucketPlace, type Place } from '../faults/kills/stored.ts'
import { writers } from '../faults/kills/writers.ts'
import { type ConditionalRemovals, withConditionalRemovals } from '../support/conditional-removals.ts'
import { type GcsEmulator, startGcsEmulator } from '../support/emulator.ts'

/** Milliseconds for a round on a busy machine. */
const roundTime = 40_000

describe('a bucket whose writers are killed, with a second run and a sweep of zero grace beside', function () {
  this.timeout(120_000 + 2 * rounds * roundTime)
  let emulator: GcsEmulator
  let service: ConditionalRemovals
  let buckets = 0

  before(async () => {
    emulator = await startGcsEmulator()
    service = await withConditionalRemovals(emulator.url)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await emulator[Symbol.asyncDispose]()
  })

  async function newBucket(): Promise<Place> {
    const name = `kills-${buckets++}`
    await emulator.makeBucket(name)
    return bucketPlace(service.url, name)
  }

  for (const writer of writers) {
    it(`loses nothing by ${writer.name}, and nothing is left behind (faults 1, 32)`, async () => {
      console.log(`      ${await killAtRandom(writer, await newBucket())}`)
    })
  }

  it('loses nothing by pull-through, and nothing is left behind (faults 1, 32, 33)', async () => {
    console.log(`      ${await killPulling(await newBucket())}`)
  })
})
