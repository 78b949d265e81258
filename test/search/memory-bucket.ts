/** One version of an object. */
export interface StoredObject {
  readonly bytes: Buffer
  readonly generation: string
  readonly updatedAt: Date
}

/** The objects that every process of an interleaving sees. Each method is one atomic step of the service. */
export class MemoryBucket {
  readonly objects = new Map<string, StoredObject>()
  #generations = 0

  put(key: string, bytes: Buffer, updatedAt: Date): StoredObject {
    const object = { bytes, generation: String(++this.#generations), updatedAt }
    this.objects.set(key, object)
    return object
  }

  /** Keys below a prefix, sorted. */
  keys(prefix: string): string[] {
    const folder = prefix === '' ? '' : `${prefix.replace(/\/$/, '')}/`
    return [...this.objects.keys()].filter((key) => key.startsWith(folder)).toSorted()
  }
}
