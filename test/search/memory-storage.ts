import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  type ByteRange,
  Conflict,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  type LoadedObject,
  ObjectNotFound,
  type ObjectStat,
  type RemoveOptions,
  type Storage,
  type StorageWriter,
  type WriteCondition,
} from 'mirrorface/plugin'
import type { MemoryBucket, StoredObject } from './memory-bucket.ts'

/** Performs one request to the service; a search decides when, and whether its response arrives. */
export type Request = <T>(operation: string, key: string, act: () => T) => Promise<T>

/** What changes objects: the operations that an interleaving may apply without a response. */
export const changes: ReadonlySet<string> = new Set(['put', 'delete'])

/** A bucket as one process sees it: every request goes through `request`. */
export class MemoryStorage implements Storage {
  readonly name = 'memory'
  readonly writer: StorageWriter
  readonly #bucket: MemoryBucket
  readonly #request: Request

  constructor(bucket: MemoryBucket, request: Request) {
    this.#bucket = bucket
    this.#request = request
    this.writer = new MemoryWriter(bucket, request)
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    return await this.#request('stat', key, () => statOf(key, this.#bucket.objects.get(key)))
  }

  async read(key: string, { range }: { range?: ByteRange } = {}): Promise<Readable> {
    const bytes = await this.#request('get', key, () => this.#bucket.objects.get(key)?.bytes)
    if (bytes === undefined) throw new ObjectNotFound(this.name, key)
    return Readable.from([range === undefined ? bytes : bytes.subarray(range.start, range.end + 1)])
  }

  /** Object by object, as no service has a snapshot. */
  async *list(prefix: string): AsyncGenerator<ObjectStat> {
    for (let last = ''; ; ) {
      const next = await this.#request('list', `${prefix} after ${last.slice(-12)}`, () => {
        const key = this.#bucket.keys(prefix).find((candidate) => candidate > last)
        return key === undefined ? undefined : statOf(key, this.#bucket.objects.get(key))
      })
      if (next === undefined) return
      yield next
      last = next.key
    }
  }

  async children(prefix: string): Promise<string[]> {
    return await this.#request('children', prefix, () => {
      const base = prefix === '' ? 0 : prefix.replace(/\/$/, '').length + 1
      return [...new Set(this.#bucket.keys(prefix).map((key) => key.slice(base).split('/')[0] ?? ''))]
    })
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {}
}

class MemoryWriter implements StorageWriter {
  readonly #bucket: MemoryBucket
  readonly #request: Request

  constructor(bucket: MemoryBucket, request: Request) {
    this.#bucket = bucket
    this.#request = request
  }

  async load(key: string): Promise<LoadedObject | undefined> {
    return await this.#request('load', key, () => {
      const found = this.#bucket.objects.get(key)
      return found === undefined ? undefined : { key, size: found.bytes.length, ...found }
    })
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition = {},
  ): Promise<ObjectStat> {
    const isDone = (found: { size: number } | undefined) =>
      expect.keepExisting === true && found !== undefined && found.size === (expect.size ?? found.size)
    if (expect.keepExisting === true) {
      const present = await this.#request('stat', key, () => statOf(key, this.#bucket.objects.get(key)))
      if (present !== undefined && isDone(present)) return present
    }
    const bytes = await gathered(key, content, expect)
    return await this.#request('put', key, () => {
      const present = statOf(key, this.#bucket.objects.get(key))
      if (present !== undefined && isDone(present)) return present
      this.#assertCondition(key, condition)
      const written = this.#bucket.put(key, bytes, new Date())
      return { key, size: bytes.length, generation: written.generation, updatedAt: written.updatedAt }
    })
  }

  async remove(key: string, { ifGeneration }: RemoveOptions = {}): Promise<void> {
    await this.#request('delete', key, () => {
      this.#assertCondition(key, ifGeneration === undefined ? {} : { ifGeneration })
      this.#bucket.objects.delete(key)
    })
  }

  async discardUnfinished(): Promise<number> {
    return 0
  }

  #assertCondition(key: string, { ifAbsent, ifGeneration }: WriteCondition): void {
    const found = this.#bucket.objects.get(key)
    const holds = ifAbsent === true ? found === undefined : found?.generation === (ifGeneration ?? found?.generation)
    if (!holds) throw new Conflict('memory', key)
  }
}

async function gathered(key: string, content: ContentSource, expect: Expectation): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of content(0)) chunks.push(Buffer.from(chunk))
  const bytes = Buffer.concat(chunks)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (bytes.length !== (expect.size ?? bytes.length))
    throw new ContentMismatch(key, `${expect.size}`, `${bytes.length}`)
  if (sha256 !== (expect.sha256 ?? sha256)) throw new ContentMismatch(key, `${expect.sha256}`, sha256)
  return bytes
}

function statOf(key: string, object: StoredObject | undefined): ObjectStat | undefined {
  if (object === undefined) return undefined
  return { key, size: object.bytes.length, updatedAt: object.updatedAt, generation: object.generation }
}
