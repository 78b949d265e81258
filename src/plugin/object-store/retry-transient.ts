import { setTimeout as delay } from 'node:timers/promises'
import type { OperationOptions } from '../storage.ts'

/** With pauses that double, a service that refuses every fifth request defeats one operation in two million. */
const attempts = 9

/** Milliseconds. */
const firstPause = 250

/**
 * Repeats an operation while the service is overloaded or the connection breaks. `act` is told how
 * many attempts came before: each of them may have succeeded and only its response been lost.
 */
export async function retryTransient<T>(
  act: (earlier: number) => Promise<T>,
  isTransient: (error: unknown) => boolean,
  { signal }: OperationOptions = {},
): Promise<T> {
  for (let earlier = 0; ; earlier++) {
    signal?.throwIfAborted()
    try {
      return await act(earlier)
    } catch (error) {
      if (!isTransient(error) || earlier + 1 >= attempts) throw error
      const pause = firstPause * 2 ** earlier * (0.5 + Math.random() / 2)
      await delay(pause, undefined, signal === undefined ? {} : { signal })
    }
  }
}
