/** Bytes asked for by one request; a whole one is held in memory until its turn comes. */
export const partSize = 4 * 1024 * 1024

/**
 * Memory for parts of files, over all files of a run: the bound on what a run holds. It is used
 * again and again; new memory for each part would cost more than receiving it.
 */
export class PartMemory {
  readonly #free: Buffer[] = []
  readonly #waiting: Array<(memory: Buffer) => void> = []
  #unused: number

  constructor(parts: number) {
    this.#unused = parts
  }

  /** Room for a part, if there is some now. */
  tryTake(): Buffer | undefined {
    const memory = this.#free.pop()
    if (memory !== undefined || this.#unused === 0) return memory
    this.#unused--
    return Buffer.allocUnsafeSlow(partSize)
  }

  /** Waits for room. */
  async take(): Promise<Buffer> {
    return this.tryTake() ?? (await new Promise((resolve) => this.#waiting.push(resolve)))
  }

  give(memory: Buffer): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(memory)
    else next(memory)
  }
}
