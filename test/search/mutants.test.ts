import { mock } from 'node:test'
import { expect } from 'chai'
import { mutants } from './mutants.ts'
import { loadMutant } from './mutate.ts'
import { scenarios } from './scenarios.ts'
import { type Found, search } from './search.ts'

/** Interleavings of each scenario, at most. */
const limit = Number(process.env.SEARCH_MUTANT_RUNS ?? 5000)

describe('the search finds what is lost without the rule that', function () {
  this.timeout(0)
  before(() => mock.timers.enable({ apis: ['Date', 'setInterval'] }))
  after(() => mock.timers.reset())

  for (const [index, mutant] of mutants.entries()) {
    it(mutant.rule, async () => {
      const protocol = await loadMutant(mutant, index)
      let found: Found | undefined
      for (const name of mutant.scenarios) {
        const scenario = scenarios.find((one) => one.name === name)
        if (scenario === undefined) throw new Error(`no scenario "${name}"`)
        found ??= (await search(protocol, scenario, limit)).found
      }
      expect(found, 'nothing is lost without it').not.to.equal(undefined)
      console.log(`      after ${found?.after} interleavings: ${found?.violation.slice(0, 60)}…`)
    })
  }
})
