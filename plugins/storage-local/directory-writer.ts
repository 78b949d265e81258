import { createHash } from 'node:crypto'
import { readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  Conflict,
  ContentHasher,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  type LoadedObject,
  type ObjectStat,
  type RemoveOptions,
  StorageFull,
  type StorageWriter,
  type WriteCondition,
  type WriteOptions,
} from 'mirrorface/plugin'
import { DirectoryLock, lockFile } from './directory-lock.ts'
import type { DirectoryReader } from './directory-reader.ts'
import { makeFolders, syncFolder } from './durable-folders.ts'
import { receiveContent } from './receive-content.ts'
import { type UnfinishedFile, UnfinishedFiles } from './unfinished-files.ts'

/** Milliseconds that a change of an object takes, about. */
const changeInterval = 5

const noSpace = new Set(['ENOSPC', 'EDQUOT'])

/** Faults that are the directory's, and not of where content comes from. */
const ofDirectory = new Set(['EACCES', 'EPERM', 'EROFS', 'EIO', 'ESTALE', 'EMFILE', 'ENFILE', 'ERR_SQLITE_ERROR'])

/**
 * Writes objects so that a reader sees all of one or nothing: into a temporary file, synced, then
 * renamed into place. An interrupted write of known content leaves its temporary file, and the next
 * write of that key continues it. An object's generation is the SHA-256 of its bytes; comparing it
 * and renaming happen under a lock that every process takes.
 */
export class DirectoryWriter implements StorageWriter, Disposable {
  readonly #directory: DirectoryReader
  readonly #unfinished: UnfinishedFiles
  readonly #lock: DirectoryLock
  readonly #hasher = new ContentHasher()

  constructor(directory: DirectoryReader) {
    this.#directory = directory
    this.#unfinished = new UnfinishedFiles(directory.root)
    this.#lock = new DirectoryLock(join(directory.root, lockFile))
  }

  async load(key: string): Promise<LoadedObject | undefined> {
    const found = await this.#directory.stat(key)
    const bytes = found && (await this.#read(key))
    if (found === undefined || bytes === undefined) return undefined
    return { key, size: bytes.length, updatedAt: found.updatedAt, bytes, generation: generationOf(bytes) }
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: WriteOptions = {},
  ): Promise<ObjectStat> {
    if (expect.keepExisting === true) {
      const present = await this.#directory.stat(key)
      if (present !== undefined && (expect.size === undefined || present.size === expect.size)) return present
    }
    return await this.#explained(async () => {
      // A condition that fails already is told before the content is fetched.
      await this.#assertCondition(key, options)
      return await this.#writeAtomically(key, content, expect, options)
    })
  }

  async remove(key: string, options: RemoveOptions = {}): Promise<void> {
    const path = this.#directory.pathOf(key)
    const removed = async () => {
      await this.#assertCondition(key, options)
      await rm(path, { force: true })
      if (options.ifGeneration !== undefined) await syncFolder(dirname(path))
    }
    await this.#explained(() => this.#lock.hold(removed, options))
  }

  discardUnfinished(before: Date, options: { dryRun?: boolean } = {}): Promise<number> {
    return this.#unfinished.discard(before, options.dryRun ?? false)
  }

  [Symbol.dispose](): void {
    this.#unfinished[Symbol.dispose]()
    this.#lock[Symbol.dispose]()
  }

  async #writeAtomically(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: WriteOptions,
  ): Promise<ObjectStat> {
    const isResumable = expect.sha256 !== undefined
    return await this.#unfinished.use(key, isResumable, async (file) => {
      try {
        using hash = this.#hasher.start(expect.size)
        const generation = await receiveContent(file.handle, hash, key, content, expect, options)
        const updatedAt = await this.#moveIntoPlace(key, file, expect, options)
        return { key, size: (await file.handle.stat()).size, updatedAt, generation }
      } catch (error) {
        const isKept = isResumable && isWorthKeeping(error)
        // It may be in its place already. Whatever becomes of it, the caller is to hear what failed first.
        await (isKept ? this.#unfinished.leave(key, file) : rm(file.path, { force: true })).catch(() => undefined)
        throw error
      }
    })
  }

  async #moveIntoPlace(key: string, file: UnfinishedFile, expect: Expectation, options: WriteOptions): Promise<Date> {
    const path = this.#directory.pathOf(key)
    const folder = dirname(path)
    const moved = async () => {
      await this.#assertCondition(key, options)
      await rename(file.path, path)
      await syncFolder(folder)
      return (await stat(path)).mtime
    }
    await makeFolders(folder)
    // Nobody compares content-addressed objects, so adding one needs no lock.
    return expect.keepExisting === true ? await moved() : await this.#lock.hold(moved, options)
  }

  async #assertCondition(key: string, { ifAbsent, ifGeneration }: WriteCondition): Promise<void> {
    if (ifAbsent === true && (await this.#directory.stat(key)) !== undefined) {
      throw new Conflict(this.#directory.name, key, { retryAfter: changeInterval })
    }
    if (ifGeneration === undefined) return
    const bytes = await this.#read(key)
    if (bytes === undefined || generationOf(bytes) !== ifGeneration)
      throw new Conflict(this.#directory.name, key, { retryAfter: changeInterval })
  }

  async #read(key: string): Promise<Buffer | undefined> {
    return await readFile(this.#directory.pathOf(key)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw this.#directory.unavailable(error)
    })
  }

  /** Gives errors of the operating system a name that a caller can act on. */
  async #explained<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      const code = codeOf(error)
      if (noSpace.has(code)) throw new StorageFull(this.#directory.name, { cause: error })
      if (ofDirectory.has(code)) throw this.#directory.unavailable(error)
      throw error
    }
  }
}

function generationOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Wrong content is of no use to the next attempt, a full disk needs the room, and a disk that failed kept who knows what. */
function isWorthKeeping(error: unknown): boolean {
  return !(error instanceof ContentMismatch) && !noSpace.has(codeOf(error)) && codeOf(error) !== 'EIO'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
