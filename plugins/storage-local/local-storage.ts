import { access, constants, mkdir, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import {
  type ByteRange,
  type Location,
  type ObjectStat,
  type OperationOptions,
  type Storage,
  StorageUnavailable,
} from 'mirrorface/plugin'
import { DirectoryReader } from './directory-reader.ts'
import { DirectoryWriter } from './directory-writer.ts'

export interface LocalStorageOptions {
  readonly directory: string
  readonly create: boolean
}

export async function openLocalStorage(options: LocalStorageOptions): Promise<Storage> {
  const directory = resolve(options.directory)
  const reader = new DirectoryReader('local', directory)
  if (options.create)
    await makeFolder(directory).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw reader.unavailable(cause)
      // It is not there because it can't be made: /proc and the like refuse children in these words.
      const reason = `cannot make the directory ${directory}: ${cause.message}`
      throw new StorageUnavailable('local', reason, { cause, transient: false })
    })
  try {
    const root = await realpath(directory)
    await access(root, constants.R_OK | constants.X_OK)
    return new LocalStorage(new DirectoryReader('local', root))
  } catch (error) {
    throw reader.unavailable(error)
  }
}

/** Objects as files below a directory that only MirrorFace writes to. */
class LocalStorage implements Storage {
  readonly name: string
  readonly writer: DirectoryWriter
  readonly #reader: DirectoryReader

  constructor(reader: DirectoryReader) {
    this.name = reader.name
    this.#reader = reader
    this.writer = new DirectoryWriter(reader)
  }

  stat(key: string): Promise<ObjectStat | undefined> {
    return this.#reader.stat(key)
  }

  read(key: string, options?: OperationOptions & { range?: ByteRange }): Promise<Readable> {
    return this.#reader.read(key, options)
  }

  list(prefix: string, options?: OperationOptions): AsyncIterable<ObjectStat> {
    return this.#reader.list(prefix, options)
  }

  children(prefix: string): Promise<string[]> {
    return this.#reader.children(prefix)
  }

  ready(): Promise<void> {
    return this.#reader.ready()
  }

  async close(): Promise<void> {
    this.writer[Symbol.dispose]()
  }

  readonly locates = 'file'

  async locate(key: string): Promise<Location | undefined> {
    const found = await this.#reader.stat(key)
    return found === undefined ? undefined : { kind: 'file', path: this.#reader.pathOf(key) }
  }
}

/** As `mkdir -p`. Node's own `recursive` never returns where a folder refuses children with ENOENT, as /proc does. */
async function makeFolder(path: string): Promise<void> {
  const made = async () => {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  try {
    await made()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await made()
  }
}
