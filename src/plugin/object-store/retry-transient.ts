import { setTimeout as delay } from 'node:timers/promises'
import type { OperationOptions } from '../storage.ts'

/** With a service that fails every fifth request, one operation in 200 million fails. */
const attempts = 12

/** Milliseconds. */
const firstPause = 250
const longestPause = 16_000

/** Milliseconds after which no further attempt begins. */
const retriesEnd = 300_000

/**
 * Repeats an operation while the service is overloaded, the connection breaks or hangs. `act` is told
 * how many attempts came before: each of them may have succeeded and only its response been lost.
 */
export async function retryTransient<T>(
  act: (earlier: number) => Promise<T>,
  isTransient: (error: unknown) => boolean,
  { signal }: OperationOptions = {},
): Promise<T> {
  const begun = performance.now()
  for (let earlier = 0; ; earlier++) {
    signal?.throwIfAborted()
    try {
      return await act(earlier)
    } catch (error) {
      const pause = Math.min(firstPause * 2 ** earlier, longestPause) * (0.5 + Math.random() / 2)
      const isLast = earlier + 1 >= attempts || performance.now() + pause - begun > retriesEnd
      if (isLast || !isTransient(error)) throw error
      await delay(pause, undefined, signal === undefined ? {} : { signal })
    }
  }
}
