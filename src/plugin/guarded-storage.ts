import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { ByteRange } from '../hub/byte-range.ts'
import { StorageUnavailable } from './errors.ts'
import { assertKey, assertPrefix } from './key.ts'
import type {
  ContentSource,
  Expectation,
  LocateOptions,
  Location,
  ObjectStat,
  OperationOptions,
  RemoveOptions,
  Storage,
  StorageWriter,
  WriteOptions,
} from './storage.ts'

export type StorageOperation = 'stat' | 'read' | 'list' | 'children' | 'ready' | 'locate' | 'load' | 'write' | 'remove'

export interface GuardOptions {
  /** Milliseconds that `stat`, `children`, `ready`, `locate`, `load` and the opening of `read` may take. */
  readonly timeout: number
  /** How often a transient failure of a reading operation is tried again. */
  readonly retries: number
  /** Whether what took longer than `timeout` is tried again too: for callers that have no other storage to ask. */
  readonly retryExpired?: boolean
  /** Told of every operation: seconds taken, and the failure's code if it failed. */
  observe(storage: string, operation: StorageOperation, seconds: number, failure: string | undefined): void
}

/**
 * Puts around a storage what every storage needs and none should repeat: key checks, a time limit,
 * retries of transient failures, and measurements.
 */
export function guardStorage(inner: Storage, options: GuardOptions): Storage {
  return new GuardedStorage(inner, options)
}

class GuardedStorage implements Storage {
  readonly name: string
  readonly writer?: StorageWriter
  readonly locates?: Location['kind']
  readonly locate?: (key: string, options: LocateOptions) => Promise<Location | undefined>
  readonly #inner: Storage
  readonly #options: GuardOptions

  constructor(inner: Storage, options: GuardOptions) {
    this.name = inner.name
    this.#inner = inner
    this.#options = options
    if (inner.writer !== undefined) this.writer = this.#guardWriter(inner.writer)
    if (inner.locates !== undefined) this.locates = inner.locates
    if (inner.locate !== undefined) this.locate = this.#guardLocate(inner.locate.bind(inner))
  }

  stat(key: string, options: OperationOptions = {}): Promise<ObjectStat | undefined> {
    return this.#bounded('stat', options, async (bounded) => {
      assertKey(key)
      return await this.#inner.stat(key, bounded)
    })
  }

  /** The time limit covers the opening; the bytes then flow as slowly as the reader wants them. */
  read(key: string, options: OperationOptions & { range?: ByteRange } = {}): Promise<Readable> {
    return this.#bounded('read', {}, async (bounded) => {
      assertKey(key)
      const body = await this.#inner.read(key, options)
      if (bounded.signal?.aborted === true) body.destroy() // opened too late: nobody will read it
      return body
    })
  }

  list(prefix: string, options: OperationOptions = {}): AsyncIterable<ObjectStat> {
    assertPrefix(prefix)
    return this.#inner.list(prefix, options)
  }

  children(prefix: string, options: OperationOptions = {}): Promise<string[]> {
    return this.#bounded('children', options, async (bounded) => {
      assertPrefix(prefix)
      return await this.#inner.children(prefix, bounded)
    })
  }

  ready(options: OperationOptions = {}): Promise<void> {
    return this.#bounded('ready', options, async (bounded) => await this.#inner.ready(bounded))
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #guardLocate(locate: NonNullable<Storage['locate']>): NonNullable<Storage['locate']> {
    return (key, options) =>
      this.#bounded('locate', options, async (bounded) => {
        assertKey(key)
        return await locate(key, { ...options, ...bounded })
      })
  }

  #guardWriter(writer: StorageWriter): StorageWriter {
    return {
      load: (key, options = {}) =>
        this.#bounded('load', options, async (bounded) => {
          assertKey(key)
          return await writer.load(key, bounded)
        }),
      write: (key: string, content: ContentSource, expect: Expectation, options?: WriteOptions) =>
        this.#measured('write', async () => {
          assertKey(key)
          return await writer.write(key, content, expect, options)
        }),
      remove: (key: string, options?: RemoveOptions) =>
        this.#measured('remove', async () => {
          assertKey(key)
          await writer.remove(key, options)
        }),
      discardUnfinished: (before, options) => writer.discardUnfinished(before, options),
    }
  }

  async #bounded<T>(
    operation: StorageOperation,
    options: OperationOptions,
    act: (options: OperationOptions) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#measured(operation, () => this.#withinTimeout(operation, options, act))
      } catch (error) {
        const isTransient = error instanceof StorageUnavailable && error.transient
        if (!isTransient || attempt >= this.#options.retries) throw error
        await delay(50 * 2 ** attempt, undefined, options).catch(() => {
          throw error // why it failed says more than that nobody waits any longer
        })
      }
    }
  }

  async #withinTimeout<T>(
    operation: StorageOperation,
    options: OperationOptions,
    act: (options: OperationOptions) => Promise<T>,
  ): Promise<T> {
    const limit = new AbortController()
    const signal = options.signal === undefined ? limit.signal : AbortSignal.any([options.signal, limit.signal])
    const expired = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const reason = `${operation} took more than ${this.#options.timeout} ms`
      expired.reject(new StorageUnavailable(this.name, reason, { transient: this.#options.retryExpired === true }))
      limit.abort()
    }, this.#options.timeout)
    try {
      return await Promise.race([act({ signal }), expired.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async #measured<T>(operation: StorageOperation, act: () => Promise<T>): Promise<T> {
    const started = performance.now()
    let failure: string | undefined
    try {
      return await act()
    } catch (error) {
      failure = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      throw error
    } finally {
      this.#options.observe(this.name, operation, (performance.now() - started) / 1000, failure)
    }
  }
}
