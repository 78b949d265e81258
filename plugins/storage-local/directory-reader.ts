import { createReadStream } from 'node:fs'
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import {
  type ByteRange,
  ObjectNotFound,
  type ObjectStat,
  type OperationOptions,
  StorageUnavailable,
} from 'mirrorface/plugin'
import { pMapIterable } from 'p-map'

/** Temporary files of writes lie here. */
export const unfinishedFolder = '.unfinished'

/**
 * Reads objects that are files below a directory. No symbolic link below it is followed: a link is
 * no object, so that nothing outside the directory can be read through it.
 */
export class DirectoryReader {
  readonly name: string
  /** With its own links resolved. */
  readonly root: string

  constructor(name: string, root: string) {
    this.name = name
    this.root = root
  }

  pathOf(key: string): string {
    return join(this.root, key)
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const path = this.pathOf(key)
    try {
      // realpath differs from the path exactly if some part below the root is a link.
      if ((await realpath(path)) !== path) return undefined
      const found = await stat(path)
      return found.isFile() ? { key, size: found.size, updatedAt: found.mtime } : undefined
    } catch (error) {
      if (isAbsence(error)) return undefined
      throw this.unavailable(error)
    }
  }

  async read(key: string, options: OperationOptions & { range?: ByteRange } = {}): Promise<Readable> {
    const path = this.pathOf(key)
    const found = await this.stat(key)
    if (found === undefined) throw new ObjectNotFound(this.name, key)
    const file = await open(path, 'r').catch((error: unknown) => {
      throw isAbsence(error) ? new ObjectNotFound(this.name, key) : this.unavailable(error)
    })
    return createReadStream(path, {
      fd: file,
      // A buffer is allocated for each read: of a small object, one of its size, and one byte to see its end.
      highWaterMark: Math.min(1 << 20, found.size + 1),
      ...(options.range === undefined ? {} : { start: options.range.start, end: options.range.end }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncGenerator<ObjectStat> {
    const folder = prefix.replace(/\/$/, '')
    yield* this.#walk(folder, options)
  }

  /** Several folders and files at a time: on a mount each costs a round trip. */
  async *#walk(folder: string, options: OperationOptions): AsyncGenerator<ObjectStat> {
    options.signal?.throwIfAborted()
    const entries = await readdir(this.pathOf(folder), { withFileTypes: true }).catch((error: unknown) => {
      if (isAbsence(error)) return []
      throw this.unavailable(error)
    })
    const keyOf = ({ name }: { readonly name: string }) => (folder === '' ? name : `${folder}/${name}`)
    const shown = entries.filter(({ name }) => isShown(folder, name))
    const files = shown.filter((entry) => entry.isFile()).map(keyOf)
    const folders = shown.filter((entry) => entry.isDirectory()).map(keyOf)
    for await (const found of pMapIterable(files, (key) => this.#statEntry(key), { concurrency: 16 })) {
      if (found !== undefined) yield found
    }
    const walked = pMapIterable(folders, async (key) => await Array.fromAsync(this.#walk(key, options)), {
      concurrency: 8,
    })
    for await (const found of walked) yield* found
  }

  /** Of an entry that was met on a walk, which follows no links: one call instead of one for each segment. */
  async #statEntry(key: string): Promise<ObjectStat | undefined> {
    try {
      const found = await lstat(this.pathOf(key))
      return found.isFile() ? { key, size: found.size, updatedAt: found.mtime } : undefined
    } catch (error) {
      if (isAbsence(error)) return undefined // removed meanwhile
      throw this.unavailable(error)
    }
  }

  async children(prefix: string): Promise<string[]> {
    const folder = prefix.replace(/\/$/, '')
    try {
      const entries = await readdir(this.pathOf(folder), { withFileTypes: true })
      return entries
        .filter((entry) => (entry.isDirectory() || entry.isFile()) && isShown(folder, entry.name))
        .map((entry) => entry.name)
    } catch (error) {
      if (isAbsence(error)) return []
      throw this.unavailable(error)
    }
  }

  async ready(): Promise<void> {
    try {
      await readdir(this.root)
    } catch (error) {
      throw this.unavailable(error)
    }
  }

  unavailable(error: unknown): StorageUnavailable {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    const transient = ['EIO', 'ESTALE', 'EAGAIN', 'ETIMEDOUT', 'EMFILE', 'ENFILE'].includes(code)
    return new StorageUnavailable(this.name, reasonOf(code, this.root, error), { cause: error, transient })
  }
}

/** In the root, names with a dot are the storage's own: the lock, temporary files. */
function isShown(folder: string, name: string): boolean {
  return folder !== '' || !name.startsWith('.')
}

function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP'
}

function reasonOf(code: string, root: string, error: unknown): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `no permission for ${root}: run as its owner, or change its mode`
    case 'ENOENT':
      return `${root} does not exist`
    case 'ENOTDIR':
      return `${root} is not a directory`
    case 'ENOTCONN':
      return `${root} is a mount that has lost its connection`
    case 'ERR_SQLITE_ERROR':
      return `${root} cannot be locked (${(error as Error).message}): writing needs permission, and a file system with locks`
    default:
      return (error as Error).message
  }
}
