import { mock } from 'node:test'

/**
 * Stryker takes mocha's own limits away. A mutant that lets a test wait for ever is found out after this many milliseconds
 * all the same, in the same process: a new one costs seconds. Some 20 times what the slowest test takes, for a busy
 * machine must not be what kills mutants.
 */
const longest = 5_000

export const mochaHooks = {
  beforeEach(this: Mocha.Context) {
    this.currentTest?.timeout(longest)
  },
  afterEach() {
    mock.reset() // the one that was cut off did not clean up
    mock.timers.reset()
  },
}
