import type { ServerResponse } from 'node:http'
import type { ByteRange } from '../../hub/index.ts'
import { Failure } from '../../hub/index.ts'
import { type BufferPool, largeBufferSize } from './buffer-pool.ts'

/** A `FileHandle`, or what reads like one. */
export interface ReadableAt {
  read(buffer: Buffer, start: number, length: number, offset: number): Promise<{ bytesRead: number }>
  /** Waits until there is something at an offset, where that may take long: a buffer is lent only then. */
  whenReadable?(offset: number): Promise<void>
}

/** A write that takes longer than this, in milliseconds, marks the client as slow. */
const slowWrite = 50

/** The file got shorter while it was sent: what is missing can't be made up. */
export class FileTruncated extends Failure {
  constructor(missing: number) {
    super('FileTruncated', 500, `the stored file ended ${missing} bytes early`)
  }
}

/**
 * Sends a range of a file: while the socket drains one buffer, the next is read into the other.
 * Returns when the last byte is with the kernel, or when the client has gone.
 *
 * Reusing two buffers instead of streaming saves the allocation per chunk and overlaps reads with
 * writes, which is what makes Node as fast here as `sendfile` (see bench/).
 */
export async function sendFile(
  file: ReadableAt,
  range: ByteRange,
  response: ServerResponse,
  pool: BufferPool,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const output = new Output(response)
  let offset = range.start
  const end = range.end + 1
  let isSlow = true // until it has proved otherwise: most files are small
  let isAhead = false
  let writing: Promise<void> | undefined
  const readNext = async (): Promise<Lent> => {
    const buffer = (isSlow ? undefined : pool.borrowLarge()) ?? pool.borrowSmall()
    const length = Math.min(buffer.length, end - offset)
    try {
      const { bytesRead } = await file.read(buffer, 0, length, offset)
      return { buffer, bytesRead }
    } catch (error) {
      pool.giveBack(buffer)
      throw error
    }
  }
  while (offset < end && !response.destroyed) {
    // Reading ahead is for those who have a large buffer: for a slow client it would only hold memory.
    if (isSlow || !isAhead) await writing
    await file.whenReadable?.(offset)
    const { buffer, bytesRead } = await readNext()
    if (bytesRead === 0) {
      pool.giveBack(buffer)
      throw new FileTruncated(end - offset)
    }
    offset += bytesRead
    isAhead = buffer.length === largeBufferSize
    await writing
    const started = performance.now()
    writing = output.write(bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead)).then((sent) => {
      pool.giveBack(buffer)
      isSlow = performance.now() - started > slowWrite
      if (sent) onBytes(bytesRead)
    })
  }
  await writing
}

interface Lent {
  readonly buffer: Buffer
  readonly bytesRead: number
}

/** A client's response, one write at a time. */
class Output {
  readonly #response: ServerResponse
  #settle: (sent: boolean) => void = () => undefined

  constructor(response: ServerResponse) {
    this.#response = response
    // Node does not call back a write that was pending when the client went.
    response.once('close', () => this.#settle(false))
  }

  /** Resolves to whether the bytes went out, once the kernel has them and the buffer may be used again. */
  write(bytes: Buffer): Promise<boolean> {
    if (this.#response.destroyed) return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#settle = resolve
      // The callback's error means that the client has gone.
      this.#response.write(bytes, (error) => resolve(error === null || error === undefined))
    })
  }
}
