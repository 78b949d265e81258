import { Failure } from '../../hub/failure.ts'
import { ContentHasher } from '../content-hash.ts'
import { Conflict, ContentMismatch } from '../errors.ts'
import type {
  ContentSource,
  Expectation,
  LoadedObject,
  ObjectStat,
  OperationOptions,
  RemoveOptions,
  StorageWriter,
  WriteCondition,
  WriteOptions,
} from '../storage.ts'
import { gatherContent } from './gather-content.ts'
import type { ObjectService } from './object-service.ts'
import { retryTransient } from './retry-transient.ts'

/** The writer of a storage on a service of objects: conditions, repeated requests and lost responses, for all alike. */
export function writeObjects(service: ObjectService): StorageWriter {
  return new ObjectWriter(service)
}

class ObjectWriter implements StorageWriter {
  readonly #service: ObjectService
  readonly #hasher = new ContentHasher()

  constructor(service: ObjectService) {
    this.#service = service
  }

  async load(key: string, options: OperationOptions = {}): Promise<LoadedObject | undefined> {
    return await this.#explained(options, async () => await this.#service.load(key, options))
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: WriteOptions = {},
  ): Promise<ObjectStat> {
    if (expect.keepExisting !== true) return await this.#writeIf(key, content, expect, conditionOf(options), options)
    const present = await this.#stat(key, options)
    const isDone = ({ size }: ObjectStat) => size === (expect.size ?? size)
    if (present !== undefined && isDone(present)) return present
    try {
      // One of another size is replaced, but only if nobody else did so meanwhile.
      const { generation } = present ?? {}
      const condition: WriteCondition = generation === undefined ? { ifAbsent: true } : { ifGeneration: generation }
      return await this.#writeIf(key, content, expect, condition, options)
    } catch (error) {
      // Another writer of the same may have finished meanwhile, and removed the parts that both had used.
      const other = error instanceof ContentMismatch ? undefined : await this.#stat(key, options)
      if (other !== undefined && isDone(other)) return other
      throw error
    }
  }

  async remove(key: string, { ifGeneration, ...options }: RemoveOptions = {}): Promise<void> {
    const remove = async (earlier: number): Promise<void> => {
      const wasThere = await this.#service.remove(key, ifGeneration, options)
      // The response of an earlier attempt may have been lost.
      if (!wasThere && ifGeneration !== undefined && earlier === 0) throw this.#conflict(key)
    }
    await this.#explained(options, async () => {
      try {
        await this.#retried(remove, options)
      } catch (error) {
        throw this.#named(key, error)
      }
    })
  }

  async discardUnfinished(
    before: Date,
    { dryRun = false, ...options }: OperationOptions & { readonly dryRun?: boolean } = {},
  ): Promise<number> {
    return await this.#explained(options, async () => await this.#service.discardUnfinished(before, dryRun, options))
  }

  async #stat(key: string, options: OperationOptions): Promise<ObjectStat | undefined> {
    return await this.#explained(options, async () => await this.#service.stat(key, options))
  }

  async #writeIf(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    { signal }: OperationOptions,
  ): Promise<ObjectStat> {
    const options = signal === undefined ? {} : { signal }
    return await this.#explained(options, async () => {
      try {
        return expect.size !== undefined && expect.size <= this.#service.largestPut
          ? await this.#putWhole(key, content, expect, condition, options)
          : await this.#service.upload(key, content, expect, condition, options)
      } catch (error) {
        throw this.#named(key, error)
      }
    })
  }

  /** From memory, so that it can be sent again whole. */
  async #putWhole(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const bytes = await gatherContent(key, content, expect, this.#hasher, options)
    const put = async (earlier: number): Promise<ObjectStat> => {
      try {
        return await this.#service.put(key, bytes, expect, condition, options)
      } catch (error) {
        // The response of an earlier attempt may have been lost: what it wrote has these very bytes.
        const isOurs = earlier > 0 && this.#service.isConflict(error)
        const found = isOurs ? await this.#service.load(key, options) : undefined
        if (found?.bytes.equals(bytes) === true) return found
        throw error
      }
    }
    return await this.#retried(put, options)
  }

  async #retried<T>(act: (earlier: number) => Promise<T>, options: OperationOptions): Promise<T> {
    return await retryTransient(act, (error) => this.#service.isTransient(error), options)
  }

  #named(key: string, error: unknown): unknown {
    return !(error instanceof Failure) && this.#service.isConflict(error) ? this.#conflict(key, error) : error
  }

  #conflict(key: string, cause?: unknown): Conflict {
    return new Conflict(this.#service.name, key, { cause, retryAfter: this.#service.changeInterval })
  }

  /** Gives errors of the service a name that a caller can act on; those of the source pass. */
  async #explained<T>({ signal }: OperationOptions, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      signal?.throwIfAborted() // what the client makes of it is not the service's fault
      throw error instanceof Failure ? error : this.#service.explain(error)
    }
  }
}

function conditionOf({ ifAbsent, ifGeneration }: WriteOptions): WriteCondition {
  if (ifAbsent === true) return { ifAbsent }
  return ifGeneration === undefined ? {} : { ifGeneration }
}
