/** Bytes that may be held by bodies being read, all of them together. */
export class ReadingBudget {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  tryTake(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}
