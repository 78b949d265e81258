import fc from 'fast-check'
import type { Scenario } from './scenarios.ts'
import type { Fate } from './world.ts'

/** Calls of a process among which something befalls it. */
const call = fc.nat({ max: 30 })

/** Something that befalls one process in `of`. */
function seldom<T>(arbitrary: fc.Arbitrary<T>, of: number): fc.Arbitrary<T | undefined> {
  return fc.oneof({ arbitrary: fc.constant(undefined), weight: of - 1 }, { arbitrary, weight: 1 })
}

const fate: fc.Arbitrary<Fate> = fc.record({
  crash: seldom(call, 5),
  failure: seldom(fc.record({ call, kind: fc.constantFrom('refused', 'lost', 'echoed') }), 5),
  sleep: seldom(fc.record({ call, steps: fc.integer({ min: 5, max: 150 }), day: fc.boolean() }), 2),
  skew: fc.constantFrom(0, 0, -300, 300),
})

const stoppedForADay: fc.Arbitrary<Fate> = fc.record({
  sleep: fc.record({ call: fc.nat({ max: 40 }), steps: fc.integer({ min: 20, max: 80 }), day: fc.constant(true) }),
  skew: fc.constantFrom(0, -300, 300),
})

const refusedOnce: fc.Arbitrary<Fate> = fc.record({
  failure: fc.record({ call, kind: fc.constant('refused' as const) }),
  skew: fc.constant(0),
})

/** Begins when others have got on: left to the scheduler alone, all would get on at the same pace. */
const late: fc.Arbitrary<Fate> = fc.record({
  sleep: fc.record({ call: fc.constant(0), steps: fc.nat({ max: 60 }), day: fc.constant(false) }),
  skew: fc.constant(0),
})

/** What befalls each process of a scenario. */
export function fatesOf({ commands, sleeper, refused }: Scenario): fc.Arbitrary<Fate[]> {
  if (sleeper === undefined) return fc.tuple(...commands.map((_, index) => (index === refused ? refusedOnce : fate)))
  return fc.tuple(...commands.map((_, index) => (index === sleeper ? stoppedForADay : late)))
}
