import { Lease } from '../../../src/mirror/lease.ts'
import { type OperationOptions, type Storage, StorageUnavailable } from '../../../src/plugin/index.ts'
import { MemoryBucket } from '../../search/memory-bucket.ts'
import { MemoryStorage, type Request } from '../../search/memory-storage.ts'

/** What a test does before a call of the storage is carried out: it may throw, wait, or change the bucket. */
export type Before = (operation: string, key: string) => void | Promise<void>

/** A bucket in memory as one process sees it, with every call that it has made. */
export interface Stage {
  readonly bucket: MemoryBucket
  readonly storage: MemoryStorage
  /** `operation key`, in order. */
  readonly calls: string[]
  before: Before
  /** Stores a JSON object, as old as is said. */
  put(key: string, value: unknown, updatedAt?: Date): void
  /** What lies there, parsed; `undefined` where nothing does. */
  get(key: string): unknown
}

export function setStage(bucket: MemoryBucket = new MemoryBucket()): Stage {
  const calls: string[] = []
  const request: Request = async (operation, key, act) => {
    calls.push(`${operation} ${key}`)
    await stage.before(operation, key)
    return act()
  }
  const stage: Stage = {
    bucket,
    calls,
    storage: new MemoryStorage(bucket, request),
    before: () => undefined,
    put: (key, value, updatedAt = new Date()) => {
      bucket.put(key, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), updatedAt)
    },
    get: (key) => {
      const found = bucket.objects.get(key)
      return found === undefined ? undefined : JSON.parse(found.bytes.toString())
    },
  }
  return stage
}

export const refused = () => new StorageUnavailable('memory', 'refused')

/** What a promise rejects with; fails where it does not. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { readonly code?: unknown }> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('it did not fail')
}

export const leaseOf = async ({ storage }: Stage) => await Lease.begin(storage, 'test', 'a test')

/** A storage that tells of each call which signal could end it, as an implementation sees it. */
export function withSignals(
  storage: Storage,
  told: (call: string, signal: AbortSignal | undefined) => void,
): Storage & Required<Pick<Storage, 'writer'>> {
  const { writer } = storage
  if (writer === undefined) throw new Error('it is read-only')
  const tell = (operation: string, key: string, options: OperationOptions | undefined) =>
    told(`${operation} ${key}`, options?.signal)
  return {
    name: storage.name,
    stat: (key, options) => {
      tell('stat', key, options)
      return storage.stat(key, options)
    },
    read: (key, options) => {
      tell('read', key, options)
      return storage.read(key, options)
    },
    list: (prefix, options) => {
      tell('list', prefix, options)
      return storage.list(prefix, options)
    },
    children: (prefix, options) => {
      tell('children', prefix, options)
      return storage.children(prefix, options)
    },
    ready: (options) => storage.ready(options),
    close: () => storage.close(),
    writer: {
      load: (key, options) => {
        tell('load', key, options)
        return writer.load(key, options)
      },
      write: (key, content, expect, options) => {
        tell('write', key, options)
        return writer.write(key, content, expect, options)
      },
      remove: (key, options) => {
        tell('remove', key, options)
        return writer.remove(key, options)
      },
      discardUnfinished: (before, options) => {
        tell('discard', '', options)
        return writer.discardUnfinished(before, options)
      },
    },
  }
}
