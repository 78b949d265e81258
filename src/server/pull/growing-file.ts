import { type FileHandle, open, rm } from 'node:fs/promises'
import { FileTruncated } from '../delivery/send-file.ts'

/** Bytes read back at a time. */
const readSize = 1024 * 1024

/**
 * A file on disk that one download writes and many clients read while it grows. The last byte is
 * held back until the content has been proved right, so that nobody takes wrong bytes for a whole file.
 */
export class GrowingFile {
  readonly size: number
  readonly #handle: FileHandle
  readonly #onClosed: (error: unknown) => void
  #received = 0
  #isProved = false
  #failure: Error | undefined
  #users = 1
  #progress = Promise.withResolvers<void>()

  private constructor(handle: FileHandle, size: number, onClosed: (error: unknown) => void) {
    this.#handle = handle
    this.size = size
    this.#onClosed = onClosed
  }

  /**
   * The file has a name only while it is being opened: the kernel frees it when its last user, or the
   * whole process, is gone. `onClosed` is called when its space is free, with the error if there was one.
   */
  static async create(path: string, size: number, onClosed: (error: unknown) => void): Promise<GrowingFile> {
    const handle = await open(path, 'wx+', 0o600)
    try {
      await rm(path)
    } catch {
      // A file system that keeps names of open files; it is tried once more at the end.
      return new GrowingFile(handle, size, (error) =>
        rm(path, { force: true }).then(
          () => onClosed(error),
          (failure: unknown) => onClosed(error ?? failure),
        ),
      )
    }
    return new GrowingFile(handle, size, onClosed)
  }

  /** Bytes that readers may have. */
  get available(): number {
    return this.#isProved ? this.size : Math.max(0, Math.min(this.#received, this.size - 1))
  }

  /** Bytes that are there, proved or not. */
  get received(): number {
    return this.#received
  }

  async append(bytes: Buffer): Promise<void> {
    let written = 0
    while (written < bytes.length) {
      const result = await this.#handle.write(bytes, written, bytes.length - written, this.#received + written)
      written += result.bytesWritten
    }
    this.#received += bytes.length
    this.#announce()
  }

  /** The content is whole and right. */
  prove(): void {
    this.#isProved = true
    this.#announce()
  }

  /** The download failed: readers are told. A later failure is a consequence of the first. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#announce()
  }

  /** Resolves once a byte at an offset is there; rejects if it will never be. */
  async whenReadable(offset: number): Promise<void> {
    while (this.available <= offset) {
      if (this.#failure !== undefined) throw this.#failure
      await this.#progress.promise
    }
  }

  /** Reads as `FileHandle.read` does, of what is there. */
  async read(buffer: Buffer, start: number, length: number, offset: number): Promise<{ bytesRead: number }> {
    return await this.#handle.read(buffer, start, Math.min(length, this.available - offset), offset)
  }

  /**
   * The bytes from an offset on as they arrive, for the storage, which proves them itself. May be
   * called again. Each chunk is valid only until the next one is requested.
   */
  async *content(start: number): AsyncGenerator<Buffer> {
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(readSize, this.size)))
    for (let offset = start; offset < this.size; ) {
      while (this.#received <= offset) {
        if (this.#failure !== undefined) throw this.#failure
        await this.#progress.promise
      }
      const length = Math.min(buffer.length, this.#received - offset)
      const { bytesRead } = await this.#handle.read(buffer, 0, length, offset)
      // Another process cut the file: without this the loop would never end.
      if (bytesRead === 0) throw new FileTruncated(this.size - offset)
      offset += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  /** Keeps the file until as many {@link release} calls. */
  use(): void {
    this.#users++
  }

  /** The last one frees it. Never rejects: nobody could do anything about it. */
  async release(): Promise<void> {
    if (--this.#users > 0) return
    await this.#handle.close().then(
      () => this.#onClosed(undefined),
      (error: unknown) => this.#onClosed(error),
    )
  }

  #announce(): void {
    this.#progress.resolve()
    this.#progress = Promise.withResolvers()
  }
}
