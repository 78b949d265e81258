import { type FileHandle, mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import {
  type ContentHash,
  ContentHasher,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  type ObjectStat,
  type OperationOptions,
  StorageFull,
  type StorageWriter,
} from 'mirrorface/plugin'
import type { DirectoryReader } from './directory-reader.ts'
import { UnfinishedFiles } from './unfinished-files.ts'

/** Bytes after which the disk is asked to write. */
const writtenBackAtATime = 64 * 1024 * 1024

/**
 * Writes objects so that a reader sees all of one or nothing: into an unfinished file, hashed on
 * the way, synced, then renamed into place. An interrupted write leaves its unfinished file, and the
 * next write of that key goes on from its end.
 */
export class DirectoryWriter implements StorageWriter {
  readonly #directory: DirectoryReader
  readonly #unfinished: UnfinishedFiles
  readonly #hasher = new ContentHasher()

  constructor(directory: DirectoryReader) {
    this.#directory = directory
    this.#unfinished = new UnfinishedFiles(directory.root)
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: OperationOptions = {},
  ): Promise<ObjectStat> {
    if (expect.ifAbsent === true) {
      const present = await this.#directory.stat(key)
      if (present !== undefined && (expect.size === undefined || present.size === expect.size)) return present
    }
    try {
      return await this.#writeAtomically(key, content, expect, options)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOSPC' || code === 'EDQUOT') throw new StorageFull(this.#directory.name, { cause: error })
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') throw this.#directory.unavailable(error)
      throw error
    }
  }

  async #writeAtomically(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const resumable = expect.sha256 !== undefined
    const unfinished = await this.#unfinished.claim(key, resumable)
    let keep = resumable
    try {
      const file = await open(unfinished, 'a+')
      try {
        using hash = this.#hasher.start(expect.size)
        await fill(file, hash, key, content, expect, options)
        await file.sync()
      } catch (error) {
        // Wrong content is of no use to a next attempt, and a full disk needs the room.
        keep &&= !(error instanceof ContentMismatch) && (error as NodeJS.ErrnoException).code !== 'ENOSPC'
        throw error
      } finally {
        await file.close()
      }
      const path = this.#directory.pathOf(key)
      await mkdir(dirname(path), { recursive: true })
      await rename(unfinished, path)
      await syncFolder(dirname(path))
      const { size, mtime } = await stat(path)
      return { key, size, updatedAt: mtime }
    } catch (error) {
      if (keep) await this.#unfinished.release(key, unfinished)
      else await rm(unfinished, { force: true })
      throw error
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await rm(this.#directory.pathOf(key), { force: true })
    } catch (error) {
      throw this.#directory.unavailable(error)
    }
  }

  async touch(key: string): Promise<boolean> {
    const now = new Date()
    try {
      await utimes(this.#directory.pathOf(key), now, now)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw this.#directory.unavailable(error)
    }
  }

  discardUnfinished(before: Date, options: { dryRun?: boolean } = {}): Promise<number> {
    return this.#unfinished.discard(before, options.dryRun ?? false)
  }
}

async function fill(
  file: FileHandle,
  hash: ContentHash,
  key: string,
  content: ContentSource,
  expect: Expectation,
  options: OperationOptions,
): Promise<void> {
  let size = await resumeFrom(file, hash, expect)
  const writeBack = new WriteBack(file)
  if (size !== expect.size || size === 0) {
    for await (const bytes of content(size)) {
      options.signal?.throwIfAborted()
      size += bytes.length
      if (expect.size !== undefined && size > expect.size) {
        throw new ContentMismatch(key, `${expect.size} bytes`, 'more')
      }
      await Promise.all([hash.update(bytes), writeAll(file, bytes)])
      writeBack.wrote(bytes.length)
    }
  }
  await writeBack.settled()
  if (expect.size !== undefined && size !== expect.size) {
    throw new ContentMismatch(key, `${expect.size} bytes`, `${size}`)
  }
  const sha256 = await hash.digest()
  if (expect.sha256 !== undefined && sha256 !== expect.sha256) {
    throw new ContentMismatch(key, `SHA-256 ${expect.sha256}`, sha256)
  }
}

/**
 * Has the disk write what came so far while the rest arrives: left to the sync at the end, all of it
 * would have to be waited for.
 */
class WriteBack {
  readonly #file: FileHandle
  #pending = 0
  #running: Promise<void> | undefined

  constructor(file: FileHandle) {
    this.#file = file
  }

  wrote(bytes: number): void {
    this.#pending += bytes
    if (this.#pending < writtenBackAtATime || this.#running !== undefined) return
    this.#pending = 0
    this.#running = this.#file
      .datasync()
      .catch(() => undefined) // the sync at the end tells
      .finally(() => {
        this.#running = undefined
      })
  }

  async settled(): Promise<void> {
    await this.#running
  }
}

/** A write may take less than it was given when the disk is nearly full. */
async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written)
    written += bytesWritten
  }
}

/** Adds what an earlier attempt left to the hash; returns its size, or 0 where it is of no use. */
async function resumeFrom(file: FileHandle, hash: ContentHash, expect: Expectation): Promise<number> {
  const { size } = await file.stat()
  if (size === 0) return 0
  if (expect.size !== undefined && size > expect.size) {
    await file.truncate(0)
    return 0
  }
  const buffer = Buffer.allocUnsafe(1 << 20)
  for (let offset = 0; offset < size; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
    await hash.update(buffer.subarray(0, bytesRead))
    offset += bytesRead
  }
  return size
}

/** Makes a rename survive a power cut: the folder's entry is data of the folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
