import { mock } from 'node:test'
import { expect } from 'chai'
import * as protocol from '../../src/mirror/index.ts'
import { scenarios } from './scenarios.ts'
import { runs, search, seed } from './search.ts'

describe(`interleavings of commands: seed ${seed}, ${runs} of each`, function () {
  this.timeout(0)
  // Before each: what resets timers after every test (`mutation-hooks.ts`) must not end the search's virtual time.
  beforeEach(() => mock.timers.enable({ apis: ['Date', 'setInterval'] }))
  afterEach(() => mock.timers.reset())

  for (const scenario of scenarios) {
    it(`lose nothing: ${scenario.name} (fault 31)`, async () => {
      const { found, endedWell } = await search(protocol, scenario, runs)
      expect(found, found?.report).to.equal(undefined)
      expect(endedWell).to.be.greaterThan(0.4)
    })
  }
})
