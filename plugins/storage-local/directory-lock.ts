import { setTimeout as delay } from 'node:timers/promises'
import type { OperationOptions } from 'mirrorface/plugin'
import { KernelLock } from './kernel-lock.ts'

/** Lies in the storage's root; begins with a dot, so that no listing shows it. */
export const lockFile = '.mirrorface-lock.db'

/** Milliseconds, at most, between two attempts to take the lock. */
const longestPause = 20

/** Serializes the changes of a directory's objects, across every process that has it open. */
export class DirectoryLock implements Disposable {
  readonly #lock: KernelLock
  #lastHolder: Promise<unknown> = Promise.resolve()

  constructor(path: string) {
    this.#lock = new KernelLock(path)
  }

  /** Runs `act` while nobody else does. A holder that is stopped makes others wait, and loses nothing. */
  async hold<T>(act: () => Promise<T>, options: OperationOptions): Promise<T> {
    // Within the process holders queue up; only the first of the queue competes with other processes.
    const turn = this.#lastHolder.then(() => this.#holdAlone(act, options))
    this.#lastHolder = turn.catch(() => undefined)
    return await turn
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]()
  }

  async #holdAlone<T>(act: () => Promise<T>, { signal }: OperationOptions): Promise<T> {
    signal?.throwIfAborted()
    // The call is synchronous, so it must not wait; the jitter keeps waiting processes out of step.
    for (let attempt = 0; !this.#lock.tryAcquire(); attempt++) {
      const pause = Math.random() * Math.min(longestPause, 2 ** attempt)
      await delay(pause, undefined, signal === undefined ? {} : { signal })
    }
    try {
      return await act()
    } finally {
      this.#lock.release()
    }
  }
}
