/**
 * Mutation testing runs the tests once for each of some thousand mutants: `QUICK_SEARCHES` makes every search small there,
 * with the same seeds. It is read here and nowhere else.
 */
export const isQuick = process.env.QUICK_SEARCHES !== undefined

/** How often a property is tried: a fiftieth while mutants are tested, yet no less than 20 times. */
export function runs(count: number): number {
  return isQuick ? Math.min(count, Math.max(20, Math.ceil(count / 50))) : count
}

/** All of them; while mutants are tested, every `stride`th, from one on that each turn has another of. */
export function* strided<Item>(items: Iterable<Item>, stride: number, turn = 0): Generator<Item> {
  let index = 0
  for (const item of items) if (!isQuick || index++ % stride === turn % stride) yield item
}
