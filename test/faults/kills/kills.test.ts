import { killAtRandom, rounds } from './play.ts'
import { killPulling } from './pulling.ts'
import { localPlace } from './stored.ts'
import { writers } from './writers.ts'

/** Milliseconds for a round on a busy machine. */
const roundTime = 30_000

describe('a directory whose writers are killed, with a second run and a sweep of zero grace beside', function () {
  this.timeout(120_000 + 2 * rounds * roundTime)

  for (const writer of writers) {
    it(`loses nothing by ${writer.name}, and nothing is left behind (faults 1, 32)`, async () => {
      await using place = await localPlace()
      console.log(`      ${await killAtRandom(writer, place)}`)
    })
  }

  it('loses nothing by pull-through, and nothing is left behind (faults 1, 32, 33)', async () => {
    await using place = await localPlace()
    console.log(`      ${await killPulling(place)}`)
  })
})
