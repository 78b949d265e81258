import type { FileHandle } from 'node:fs/promises'
import {
  type ContentHash,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  type OperationOptions,
} from 'mirrorface/plugin'

/** Bytes after which the disk is asked to write. */
const writeBackInterval = 64 * 1024 * 1024

/** Bytes read back from the file at a time. */
const readSize = 1024 * 1024

/**
 * Fills a file with the content, from its end on, and syncs it. Size and hash are those of the
 * file, which is read back from the page cache as it grows: what was received proves nothing about
 * what was kept. Resolves to the SHA-256, lower-case hex; rejects with a {@link ContentMismatch}.
 */
export async function receiveContent(
  file: FileHandle,
  hash: ContentHash,
  key: string,
  content: ContentSource,
  expect: Expectation,
  options: OperationOptions,
): Promise<string> {
  const reader = new FileReader(file, hash, Math.min(readSize, expect.size ?? readSize))
  let size = await resumableSize(file, expect)
  await reader.hashUntil(size)
  const writeBack = new WriteBack(file)
  if (size !== expect.size || size === 0) {
    for await (const bytes of content(size)) {
      options.signal?.throwIfAborted()
      writeBack.throwIfFailed()
      if (expect.size !== undefined && size + bytes.length > expect.size) {
        throw new ContentMismatch(key, `${expect.size} bytes`, 'more')
      }
      await writeAll(file, bytes, size)
      size += bytes.length
      await reader.hashUntil(size)
      writeBack.wrote(bytes.length)
    }
  }
  await writeBack.settled()
  await file.sync()
  const kept = (await file.stat()).size
  if (kept !== (expect.size ?? size)) throw new ContentMismatch(key, `${expect.size ?? size} bytes`, `${kept}`)
  const sha256 = await hash.digest()
  if (expect.sha256 !== undefined && sha256 !== expect.sha256) {
    throw new ContentMismatch(key, `SHA-256 ${expect.sha256}`, sha256)
  }
  return sha256
}

/** Bytes of an earlier attempt that can be continued. */
async function resumableSize(file: FileHandle, expect: Expectation): Promise<number> {
  const { size } = await file.stat()
  if (expect.size === undefined || size <= expect.size) return size
  await file.truncate(0)
  return 0
}

/** Adds a file's bytes to a hash, in order. */
class FileReader {
  readonly #file: FileHandle
  readonly #hash: ContentHash
  readonly #buffer: Buffer
  #offset = 0

  constructor(file: FileHandle, hash: ContentHash, readSize: number) {
    this.#file = file
    this.#hash = hash
    this.#buffer = Buffer.allocUnsafe(readSize)
  }

  async hashUntil(end: number): Promise<void> {
    while (this.#offset < end) {
      const length = Math.min(this.#buffer.length, end - this.#offset)
      const { bytesRead } = await this.#file.read(this.#buffer, 0, length, this.#offset)
      if (bytesRead === 0) throw new Error('the temporary file was truncated by someone else')
      await this.#hash.update(this.#buffer.subarray(0, bytesRead))
      this.#offset += bytesRead
    }
  }
}

/**
 * Has the disk write what came so far while the rest arrives: left to the sync at the end, all of it
 * would have to be waited for. Its failures count: Linux reports a write-back error once per open
 * file, so that the sync at the end would not see it again.
 */
class WriteBack {
  readonly #file: FileHandle
  #pending = 0
  #running: Promise<void> | undefined
  #failure: unknown

  constructor(file: FileHandle) {
    this.#file = file
  }

  wrote(bytes: number): void {
    this.#pending += bytes
    if (this.#pending < writeBackInterval || this.#running !== undefined) return
    this.#pending = 0
    this.#running = this.#file
      .datasync()
      .catch((error: unknown) => {
        this.#failure = error
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async settled(): Promise<void> {
    await this.#running
    this.throwIfFailed()
  }
}

/** A write may take less than it was given when the disk is nearly full. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}
