import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Bucket, File } from '@google-cloud/storage'
import {
  ContentHasher,
  type ContentSource,
  type Expectation,
  Failure,
  type ObjectStat,
  type OperationOptions,
  type Storage,
  type StorageWriter,
} from 'mirrorface/plugin'
import { assertContent } from './assert-content.ts'
import { statusOf, unavailable } from './gcs-errors.ts'
import { PartedUploads } from './parted-uploads.ts'

/** Of an object's own metadata: when it was touched last. */
export const touchedField = 'touched'

/** Bytes sent by one request of a resumable upload: a multiple of 256 KiB. */
const uploadChunk = 8 * 1024 * 1024

/**
 * Writes objects so that a reader sees all of one or nothing: an upload becomes an object only when
 * it is closed, and it is closed only when size and SHA-256 are right.
 */
export class GcsWriter implements StorageWriter {
  readonly #storage: Storage
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly #hasher = new ContentHasher()
  readonly #parted: PartedUploads

  constructor(storage: Storage, bucket: Bucket, prefix: string, partSize: number) {
    this.#storage = storage
    this.#bucket = bucket
    this.#prefix = prefix
    this.#parted = new PartedUploads(bucket, prefix, partSize, this.#hasher)
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: OperationOptions = {},
  ): Promise<ObjectStat> {
    const present = await this.#storage.stat(key, options)
    const isDone = ({ size }: ObjectStat) => expect.ifAbsent === true && size === (expect.size ?? size)
    if (present !== undefined && isDone(present)) return present
    // Content-addressed objects are written once: a second writer of the same finds the first's. A
    // broken one is replaced, but only if nobody else did so meanwhile.
    const generation = expect.ifAbsent === true ? Number(present?.generation ?? 0) : undefined
    try {
      const { sha256, size = 0 } = expect
      if (sha256 !== undefined && size > this.#parted.partSize)
        await this.#parted.write(key, content, { ...expect, sha256, size }, generation, options)
      else await this.#writeAtOnce(key, content, expect, generation, options)
    } catch (error) {
      if (error instanceof Failure || statusOf(error) === undefined) throw error
      // Another writer of the same may have finished meanwhile, and removed the parts that both had used.
      const other = await this.#storage.stat(key, options)
      if (other !== undefined && isDone(other)) return other
      throw unavailable(this.#bucket.name, error)
    }
    const written = await this.#storage.stat(key, options)
    if (written === undefined)
      throw unavailable(this.#bucket.name, new Error(`${key} is not there after it was written`))
    return written
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#bucket.file(this.#prefix + key).delete({ ignoreNotFound: true })
    } catch (error) {
      throw unavailable(this.#bucket.name, error)
    }
  }

  async touch(key: string): Promise<boolean> {
    try {
      await this.#bucket
        .file(this.#prefix + key)
        .setMetadata({ metadata: { [touchedField]: new Date().toISOString() } })
      return true
    } catch (error) {
      if (statusOf(error) === 404) return false
      throw unavailable(this.#bucket.name, error)
    }
  }

  async discardUnfinished(before: Date, { dryRun = false }: { dryRun?: boolean } = {}): Promise<number> {
    return await this.#parted.discard(before, dryRun)
  }

  async #writeAtOnce(
    key: string,
    content: ContentSource,
    expect: Expectation,
    generation: number | undefined,
    options: OperationOptions,
  ): Promise<void> {
    using hash = this.#hasher.start(expect.size)
    const upload = this.#upload(this.#bucket.file(this.#prefix + key), expect.size, generation, expect.sha256)
    const uploaded = finished(upload)
    uploaded.catch(() => undefined) // awaited below; a failure of the source is told first
    let size = 0
    try {
      for await (const chunk of content(0)) {
        options.signal?.throwIfAborted()
        size += chunk.length
        await hash.update(chunk)
        await push(upload, chunk)
      }
      await assertContent(key, expect, size, hash)
      upload.end()
      await uploaded
    } catch (error) {
      upload.destroy() // what was not closed is no object
      throw error
    }
  }

  #upload(file: File, size: number | undefined, generation: number | undefined, sha256?: string): Writable {
    return file.createWriteStream({
      resumable: size === undefined || size > uploadChunk,
      chunkSize: uploadChunk,
      validation: 'crc32c',
      highWaterMark: 1 << 20,
      metadata: { contentType: 'application/octet-stream', ...(sha256 !== undefined && { metadata: { sha256 } }) },
      ...(generation !== undefined && { preconditionOpts: { ifGenerationMatch: generation } }),
    })
  }
}

/** Resolves when there is room for more. The upload keeps what it is given, to send it again after a fault: so a copy. */
async function push(upload: Writable, chunk: Buffer): Promise<void> {
  if (upload.write(Buffer.from(chunk))) return
  const stop = new AbortController()
  try {
    // Whichever comes first; `error` also ends the wait, by rejecting.
    await Promise.race([once(upload, 'drain', stop), once(upload, 'close', stop)])
    if (upload.destroyed) throw upload.errored ?? new Error('the upload was closed')
  } finally {
    stop.abort()
  }
}
