import { expect } from 'chai'
import pMap from 'p-map'
import { type Comparison, compare, type Direct, runDirectly, tableOf } from './comparison.ts'
import type { Mode } from './exceptions.ts'
import { releases } from './suite.ts'

/** `CONFORMANCE=all`: every version in every mode; otherwise all but `pass` only with the newest. */
const everything = process.env.CONFORMANCE === 'all'

/**
 * What huggingface_hub's own tests can do at the Hub, they can do through MirrorFace: they are run
 * against a stand-in Hub, and what passes there is run again through a server in front of it.
 */
describe("huggingface_hub's own tests", function () {
  this.timeout(1_800_000)
  const plans = releases.map((release, index) => ({
    release,
    modes: (everything || index === 0 ? ['pass', 'follow', 'mirrored'] : ['pass']) as readonly Mode[],
    direct: Promise.withResolvers<Direct>(),
    through: new Map<Mode, PromiseWithResolvers<Comparison>>(),
  }))
  for (const plan of plans) for (const mode of plan.modes) plan.through.set(mode, Promise.withResolvers())

  before(() => {
    // Two releases at a time; the tests below wait for what they are about.
    void pMap(
      plans,
      async ({ release, direct, through }) => {
        const running = runDirectly(release)
        direct.resolve(running)
        await running.catch(() => undefined)
        for (const [mode, comparison] of through) {
          comparison.resolve(running.then((found) => compare(release, mode, found)))
          await comparison.promise.catch(() => undefined)
        }
      },
      { concurrency: 2 },
    )
  })

  after(async () => {
    const rows = plans.map(async ({ release, direct, through }) => ({
      version: release.version,
      direct: await direct.promise,
      through: new Map(
        await Promise.all([...through].map(async ([mode, { promise }]) => [mode, await promise] as const)),
      ),
    }))
    const done = (await Promise.allSettled(rows)).filter((row) => row.status === 'fulfilled')
    console.log(tableOf(done.map(({ value }) => value)))
  })

  for (const { release, direct, through } of plans) {
    describe(`${release.version}${release.prefix === '' ? ', at the root' : ''}`, () => {
      it(`${release.atLeast} or more pass against the stand-in Hub itself`, async () => {
        const { passed, unknown } = await direct.promise
        expect(unknown, 'listed in exceptions.yaml, and not there').to.deep.equal([])
        expect(passed.length).to.be.at.least(release.atLeast)
      })

      for (const [mode, { promise }] of through) {
        it(`pass through MirrorFace: ${mode}`, async () => {
          const { failures, obsolete } = await promise
          const report = failures.map(({ test, message }) => `${test}\n${message}`).join('\n\n')
          expect(failures, report).to.be.empty
          expect(obsolete, 'listed in exceptions.yaml, and unknown or passing').to.deep.equal([])
        })
      }
    })
  }
})
