import type { FileHandle } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { ByteRange } from '../../hub/index.ts'
import { Failure } from '../../hub/index.ts'
import { type BufferPool, largeBufferSize } from './buffer-pool.ts'
import type { KernelCopy } from './kernel-copy.ts'

/** A `FileHandle`, or what reads like one. */
export interface ReadableAt {
  read(buffer: Buffer, start: number, length: number, offset: number): Promise<{ bytesRead: number }>
  /** Waits until there is something at an offset, where that may take long: a buffer is lent only then. */
  whenReadable?(offset: number): Promise<void>
}

/** Bytes that the kernel is asked to copy at a time: more than a socket takes, less than a slow disk needs long for. */
const mostCopied = 4 * 1024 * 1024
/** After so many writes with nothing copied between them, the file system is one that the kernel can't copy from. */
const mostInVain = 16

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

/**
 * Sends a range of a file by the kernel's copy, which costs no memory of ours and a fraction of the CPU.
 *
 * Between the copies there is an ordinary write of a small buffer. It waits until the socket takes more,
 * which the copy does not tell, and it finds out why a copy had nothing: the client gone, the file too
 * short, or a file system that can only be read.
 */
export async function copyFile(
  file: FileHandle,
  range: ByteRange,
  response: ServerResponse,
  pool: BufferPool,
  kernel: KernelCopy,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const output = new Output(response)
  const buffer = pool.borrowSmall()
  let offset = range.start
  const end = range.end + 1
  let inVain = 0
  let way: ReturnType<KernelCopy['open']>
  try {
    while (offset < end && inVain < mostInVain) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - offset), offset)
      if (bytesRead === 0) throw new FileTruncated(end - offset)
      if (!(await output.write(bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead)))) return
      offset += bytesRead
      onBytes(bytesRead)
      // Only now: before its first bytes are out, a pipelined answer has no socket.
      if (response.socket !== null) way ??= kernel.open(response.socket)
      if (way === undefined) break
      inVain++
      while (offset < end && !response.destroyed) {
        const copied = await way.copy(file.fd, offset, Math.min(mostCopied, end - offset))
        if (copied === 0) break
        inVain = 0
        offset += copied
        onBytes(copied)
      }
    }
  } finally {
    pool.giveBack(buffer)
    way?.close()
  }
  if (offset < end && !response.destroyed)
    await sendFile(file, { start: offset, end: range.end }, response, pool, onBytes)
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
