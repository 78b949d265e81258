import fc from 'fast-check'
import type { Scenario } from './scenarios.ts'
import type { Fate } from './world.ts'

/** Calls of a process among which something befalls it. */
const call = fc.nat({ max: 30 })

const fate: fc.Arbitrary<Fate> = fc.record({
  crash: fc.option(call, { nil: undefined, freq: 4 }),
  failure: fc.option(fc.record({ call, kind: fc.constantFrom('refused', 'lost', 'echoed') }), {
    nil: undefined,
    freq: 4,
  }),
  sleep: fc.option(fc.record({ call, steps: fc.integer({ min: 5, max: 120 }) }), { nil: undefined, freq: 1 }),
  skew: fc.constantFrom(0, 0, -300, 300),
})

/** What befalls each process of a scenario. */
export function fatesOf(scenario: Scenario): fc.Arbitrary<Fate[]> {
  return fc.tuple(...scenario.commands.map(() => fate))
}
