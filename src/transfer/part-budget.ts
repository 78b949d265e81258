/**
 * How many parts of files may be in memory at a time, over all files of a run: the bound on what
 * a mirror run holds.
 */
export class PartBudget {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(parts: number) {
    this.#free = parts
  }

  /** Takes a place if one is free now. */
  tryTake(): boolean {
    if (this.#free === 0) return false
    this.#free--
    return true
  }

  /** Waits for a place. */
  async take(): Promise<void> {
    if (this.tryTake()) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
