import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds that a look-up waits to hear whether what is kept still holds: a storage that is silent holds nobody up. */
const patience = 1_000

/** Something kept of a storage. */
export interface Believed<Value> {
  readonly value: Value
  /** By `performance.now()`: when that was last known to be the storage's. */
  readonly checkedAt: number
  believe(): void
}

/**
 * What is kept, asked about again half way through `refreshAfter`, so that of what is wanted all the time nobody waits
 * for that; and before it is given where it is older. `ask` is called once at a time by whoever shares it, and does not
 * reject.
 */
export async function believed<Value>(
  kept: Believed<Value>,
  refreshAfter: number,
  ask: () => Promise<Value>,
): Promise<Value> {
  const age = performance.now() - kept.checkedAt
  if (age < refreshAfter / 2) return kept.value
  const asked = ask()
  if (age < refreshAfter) return kept.value
  const over = new AbortController()
  const late = delay(patience, 'late' as const, { signal: over.signal, ref: false }).catch(() => undefined)
  const first = await Promise.race([asked.then((value) => ({ value })), late])
  over.abort()
  if (first instanceof Object) return first.value
  kept.believe() // so that not every request waits for it
  return kept.value
}
