import { LRUCache } from 'lru-cache'
import { shared } from './shared.ts'

export interface SharedAnswersOptions<T> {
  /** Bytes that what is kept may take. */
  readonly memory: number
  /** Milliseconds for which an answer is kept. */
  readonly keptFor: number
  /** Bytes of memory that an answer takes. */
  sizeOf(answer: T): number
}

/** Answers that are asked for once by all who want them at a time, and kept for a while within a budget of memory. */
export class SharedAnswers<T extends object> {
  readonly #kept: LRUCache<string, T>
  readonly #asking = new Map<string, Promise<T>>()

  constructor({ memory, keptFor, sizeOf }: SharedAnswersOptions<T>) {
    this.#kept = new LRUCache({
      maxSize: memory,
      sizeCalculation: (answer, key) => Math.max(1, sizeOf(answer) + 2 * key.length),
      ttl: keptFor,
      // What nobody asks for again would lie there until the budget is needed.
      ttlAutopurge: true,
    })
  }

  /** Bytes that are kept. */
  get size(): number {
    return this.#kept.calculatedSize
  }

  /** A failure is everybody's who waits for it, and is not kept. */
  async get(key: string, ask: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    return await shared(this.#asking, key, async () => {
      const answer = await ask()
      this.#kept.set(key, answer)
      return answer
    })
  }
}
