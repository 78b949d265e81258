import { realpath, statfs } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { LRUCache } from 'lru-cache'
import {
  type ByteRange,
  type Location,
  type ObjectStat,
  type OperationOptions,
  type Storage,
  StorageUnavailable,
} from 'mirrorface/plugin'
import type { z } from 'zod'
import { DirectoryReader } from '../storage-local/directory-reader.ts'
import type { gcsMountOptions } from './index.ts'

export type GcsMountOptions = z.output<typeof gcsMountOptions>

/** statfs(2): the type that every FUSE file system reports. */
const fuseMagic = 0x65735546

/** Content-addressed, so that what is known of one stays true. */
const immutableKey = /^(?:blobs\/sha256|blob)\//

/** It need not be mounted yet: `ready` tells, and a mount that comes later is found without a restart. */
export async function openGcsMount(options: GcsMountOptions): Promise<Storage> {
  return new GcsMountStorage(options)
}

/**
 * Objects of a bucket below a GCS FUSE mount. Read-only: a mount has neither atomic renames nor
 * locks. Its attribute calls are slow, so those of immutable objects are made once.
 */
class GcsMountStorage implements Storage {
  readonly name = 'gcs-mount'
  readonly #options: GcsMountOptions
  readonly #stats: LRUCache<string, ObjectStat>
  #reader: DirectoryReader

  constructor(options: GcsMountOptions) {
    this.#options = options
    this.#stats = new LRUCache({ max: options.cachedStats })
    this.#reader = new DirectoryReader(this.name, resolve(options.directory))
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const kept = this.#stats.get(key)
    if (kept !== undefined) return kept
    const found = await this.#asked(() => this.#reader.stat(key))
    // That something is missing may be the mount's fault, and not the bucket's content.
    if (found === undefined) await this.ready()
    else if (immutableKey.test(key)) this.#stats.set(key, found)
    return found
  }

  async read(key: string, options?: OperationOptions & { range?: ByteRange }): Promise<Readable> {
    return await this.#asked(async () => {
      try {
        return await this.#reader.read(key, options)
      } catch (error) {
        await this.ready()
        throw error
      }
    })
  }

  async *list(prefix: string, options?: OperationOptions): AsyncGenerator<ObjectStat> {
    let isEmpty = true
    try {
      for await (const found of this.#reader.list(prefix, options)) {
        isEmpty = false
        yield found
      }
    } catch (error) {
      throw this.#noted(error)
    }
    if (isEmpty) await this.ready()
  }

  async children(prefix: string): Promise<string[]> {
    const names = await this.#asked(() => this.#reader.children(prefix))
    if (names.length === 0) await this.ready()
    return names
  }

  async ready(): Promise<void> {
    await this.#asked(async () => {
      const root = await realpath(resolve(this.#options.directory)).catch((error: unknown) => {
        throw this.#reader.unavailable(error)
      })
      if (root !== this.#reader.root) this.#reader = new DirectoryReader(this.name, root)
      if (this.#options.requireFuse) await this.#assertFuse(root)
      await this.#reader.ready()
    })
  }

  async close(): Promise<void> {}

  readonly locates = 'file'

  async locate(key: string): Promise<Location | undefined> {
    return (await this.stat(key)) === undefined ? undefined : { kind: 'file', path: this.#reader.pathOf(key) }
  }

  async #assertFuse(root: string): Promise<void> {
    const { type } = await statfs(root).catch((error: unknown) => {
      throw this.#reader.unavailable(error)
    })
    if (type !== fuseMagic) throw new StorageUnavailable(this.name, `${root} is not a mount: is gcsfuse running?`)
  }

  /** After the mount was gone, nothing that was known of it counts. */
  async #asked<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw this.#noted(error)
    }
  }

  #noted(error: unknown): unknown {
    if (error instanceof StorageUnavailable) this.#stats.clear()
    return error
  }
}
