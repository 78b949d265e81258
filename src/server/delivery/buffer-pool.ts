/** Buffers lent to downloads: large ones as long as the budget lasts. */
export const largeBufferSize = 1024 * 1024
export const smallBufferSize = 32 * 1024
const slabSize = 2 * 1024 * 1024

/**
 * Lends buffers for file delivery and takes them back, so that a download costs no allocation per
 * chunk. Large buffers are bounded; when all are lent, or for a client too slow to need one, a small
 * buffer does. So memory is bounded by the budget plus one small buffer for each slow client.
 */
export class BufferPool {
  readonly #free: Buffer[] = []
  readonly #freeSmall: Buffer[] = []
  readonly #mostLarge: number
  #large = 0
  #slabs = 0

  /** `budget` is the memory in bytes for large buffers. */
  constructor(budget: number) {
    this.#mostLarge = Math.max(2, Math.floor(budget / largeBufferSize))
  }

  /** A large buffer, or `undefined` where the budget is used up. */
  borrowLarge(): Buffer | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#large >= this.#mostLarge) return undefined
    this.#large++
    return Buffer.allocUnsafeSlow(largeBufferSize)
  }

  borrowSmall(): Buffer {
    if (this.#freeSmall.length === 0) this.#cutSlab()
    return this.#freeSmall.pop() as Buffer
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === largeBufferSize) this.#free.push(buffer)
    else this.#freeSmall.push(buffer)
  }

  /** Bytes of buffers that downloads hold. */
  get lent(): number {
    return this.allocated - this.#free.length * largeBufferSize - this.#freeSmall.length * smallBufferSize
  }

  /** Bytes of buffers allocated. */
  get allocated(): number {
    return this.#large * largeBufferSize + this.#slabs * slabSize
  }

  /** Small buffers come by the slab and are used for good: thousands that come and go would leave the heap in splinters. */
  #cutSlab(): void {
    const slab = Buffer.allocUnsafeSlow(slabSize)
    this.#slabs++
    for (let start = 0; start < slabSize; start += smallBufferSize)
      this.#freeSmall.push(slab.subarray(start, start + smallBufferSize))
  }
}
