import { mock } from 'node:test'
import { expect } from 'chai'
import * as protocol from '../../src/mirror/index.ts'
import { scenarios } from './scenarios.ts'
import { runs, search, seed } from './search.ts'

describe(`interleavings of commands: seed ${seed}, ${runs} of each scenario`, function () {
  this.timeout(0)
  before(() => mock.timers.enable({ apis: ['Date'] }))
  after(() => mock.timers.reset())

  for (const scenario of scenarios) {
    const title = scenario.open === undefined ? scenario.name : `${scenario.name} (open: ${scenario.open})`
    it(title, async () => {
      const found = await search(protocol, scenario, runs)
      if (scenario.open === undefined) expect(found, found?.report).to.equal(undefined)
      else expect(found, 'nothing is lost here any more: close the finding').not.to.equal(undefined)
    })
  }
})
