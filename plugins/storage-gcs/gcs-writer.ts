import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Bucket, File } from '@google-cloud/storage'
import {
  type ContentHash,
  ContentHasher,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  Failure,
  type ObjectStat,
  type OperationOptions,
  type Storage,
  type StorageWriter,
} from 'mirrorface/plugin'
import { Crc32c } from './crc32c.ts'
import { statusOf, unavailable } from './gcs-errors.ts'

/** Parts of uploads under way lie here, outside every key that the layout makes. */
export const unfinishedPrefix = '.unfinished/'

/** The service composes at most so many objects at a time. */
const mostComposed = 32

/** The largest part of an object that would need more than {@link mostComposed}: what a crash may cost, at most. */
const largestPart = 256 * 1024 * 1024

/** Bytes sent by one request of a resumable upload: a multiple of 256 KiB. */
const uploadChunk = 8 * 1024 * 1024

interface Part {
  readonly file: File
  readonly generation: string | number
  readonly size: number
}

/**
 * Writes objects so that a reader sees all of one or nothing: an upload becomes an object only when
 * it is closed, and it is closed only when size and SHA-256 are right.
 *
 * A large object is uploaded in parts that are composed at the end; after a crash the parts that
 * are whole stay, and the next write goes on behind them. It reads them back once, for the hash of
 * the whole. Parts are pinned by generation, so that two writers of one object can't mix.
 */
export class GcsWriter implements StorageWriter {
  readonly #storage: Storage
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly #partSize: number
  readonly #hasher = new ContentHasher()

  constructor(storage: Storage, bucket: Bucket, prefix: string, partSize: number) {
    this.#storage = storage
    this.#bucket = bucket
    this.#prefix = prefix
    this.#partSize = partSize
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: OperationOptions = {},
  ): Promise<ObjectStat> {
    const present = await this.#storage.stat(key, options)
    const isRight = present !== undefined && (expect.size === undefined || present.size === expect.size)
    if (expect.ifAbsent === true && isRight) return present
    // Content-addressed objects are written once: a second writer of the same finds the first's. A
    // broken one is replaced, but only if nobody else did so meanwhile.
    const generation = expect.ifAbsent === true ? Number(present?.generation ?? 0) : undefined
    try {
      if (expect.sha256 !== undefined && expect.size !== undefined && expect.size > this.#partSize) {
        await this.#writeInParts(key, content, { sha256: expect.sha256, size: expect.size }, generation, options)
      } else {
        await this.#writeAtOnce(key, content, expect, generation, options)
      }
    } catch (error) {
      if (error instanceof Failure || statusOf(error) === undefined) throw error
      const isTaken = statusOf(error) === 412 && expect.ifAbsent === true
      if (!isTaken) throw unavailable(this.#bucket.name, error)
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

  async discardUnfinished(before: Date, options: { dryRun?: boolean } = {}): Promise<number> {
    let freed = 0
    for (const file of await this.#unfinishedFiles('')) {
      if (new Date(file.metadata.updated ?? 0) >= before) continue
      freed += Number(file.metadata.size)
      if (options.dryRun !== true) await file.delete({ ignoreNotFound: true })
    }
    return freed
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

  async #writeInParts(
    key: string,
    content: ContentSource,
    expect: { sha256: string; size: number },
    generation: number | undefined,
    options: OperationOptions,
  ): Promise<void> {
    using hash = this.#hasher.start(expect.size)
    const partSize = this.#partSizeOf(expect.size)
    const parts = await this.#wholeParts(expect, partSize, hash, options)
    let offset = parts.reduce((sum, part) => sum + part.size, 0)
    const body = content(offset)[Symbol.asyncIterator]()
    let rest: Buffer | undefined
    try {
      while (offset < expect.size) {
        const size = Math.min(partSize, expect.size - offset)
        const uploaded = await this.#uploadPart(
          this.#partFile(expect.sha256, partSize, parts.length),
          size,
          body,
          rest,
          hash,
          key,
          options,
        )
        rest = uploaded.rest
        parts.push(uploaded.part)
        offset += size
      }
      if (rest !== undefined || (await body.next()).done !== true)
        throw new ContentMismatch(key, `${expect.size} bytes`, 'more')
      await assertContent(key, expect, offset, hash)
    } catch (error) {
      await body.return?.()
      // Parts of wrong content are of no use to the next attempt.
      if (error instanceof ContentMismatch) await this.#deleteUnfinished(expect.sha256)
      throw error
    }
    await this.#compose(this.#bucket.file(this.#prefix + key), parts, expect.sha256, generation)
    await this.#deleteUnfinished(expect.sha256)
  }

  /** The parts that an earlier attempt left, as far as they are without a gap; their bytes go into the hash. */
  async #wholeParts(
    expect: { sha256: string; size: number },
    partSize: number,
    hash: ContentHash,
    options: OperationOptions,
  ): Promise<Part[]> {
    const found = new Map((await this.#unfinishedFiles(expect.sha256)).map((file) => [file.name, file]))
    const parts: Part[] = []
    for (let offset = 0; offset < expect.size; offset += partSize) {
      const file = found.get(this.#partFile(expect.sha256, partSize, parts.length).name)
      const size = Math.min(partSize, expect.size - offset)
      const generation = file?.metadata.generation
      if (file === undefined || generation === undefined || Number(file.metadata.size) !== size) break
      const pinned = this.#bucket.file(file.name, { generation, crc32cGenerator: () => new Crc32c() })
      for await (const chunk of pinned.createReadStream({ validation: 'crc32c', decompress: false })) {
        options.signal?.throwIfAborted()
        await hash.update(chunk)
      }
      parts.push({ file, generation, size })
    }
    return parts
  }

  async #uploadPart(
    file: File,
    size: number,
    body: AsyncIterator<Buffer>,
    first: Buffer | undefined,
    hash: ContentHash,
    key: string,
    options: OperationOptions,
  ): Promise<{ part: Part; rest: Buffer | undefined }> {
    const upload = this.#upload(file, size, 0)
    const uploaded = finished(upload)
    uploaded.catch(() => undefined) // awaited below
    const crc32c = new Crc32c()
    let taken = 0
    let rest = first
    try {
      while (taken < size) {
        options.signal?.throwIfAborted()
        if (rest === undefined) {
          const next = await body.next()
          if (next.done === true) throw new ContentMismatch(key, `${size} more bytes`, `${taken}`)
          rest = next.value
        }
        const chunk: Buffer = rest.length > size - taken ? rest.subarray(0, size - taken) : rest
        rest = chunk.length === rest.length ? undefined : rest.subarray(chunk.length)
        taken += chunk.length
        await hash.update(chunk)
        crc32c.update(chunk)
        await push(upload, chunk)
      }
      upload.end()
      await uploaded
      return { part: { file, generation: await this.#generationOf(file, crc32c, size), size }, rest }
    } catch (error) {
      upload.destroy()
      if (statusOf(error) !== 412 || taken < size) throw error
      // Another writer was faster with this part: it serves if its bytes are ours.
      return { part: { file, generation: await this.#generationOf(file, crc32c, size), size }, rest }
    }
  }

  /** The generation of a part whose content is certain to be what was hashed here. */
  async #generationOf(file: File, crc32c: Crc32c, size: number): Promise<string | number> {
    const [metadata] = await file.getMetadata()
    if (Number(metadata.size) !== size || metadata.crc32c !== crc32c.toString()) {
      throw new ContentMismatch(file.name, `CRC-32C ${crc32c.toString()}`, String(metadata.crc32c))
    }
    return metadata.generation ?? 0
  }

  /** Composes any number of parts, in rounds of at most 32. */
  async #compose(target: File, parts: readonly Part[], sha256: string, generation: number | undefined): Promise<void> {
    let round = 0
    let sources = parts
    while (sources.length > mostComposed) {
      const composed: Part[] = []
      for (let start = 0; start < sources.length; start += mostComposed) {
        const group = sources.slice(start, start + mostComposed)
        const file = this.#bucket.file(`${this.#prefix}${unfinishedPrefix}${sha256}/round-${round}-${composed.length}`)
        await this.#composeOnce(file, group, undefined)
        const [metadata] = await file.getMetadata()
        composed.push({ file, generation: metadata.generation ?? 0, size: Number(metadata.size) })
      }
      sources = composed
      round++
    }
    await this.#composeOnce(target, sources, generation)
    await target.setMetadata({ metadata: { sha256 } })
  }

  async #composeOnce(target: File, sources: readonly Part[], generation: number | undefined): Promise<void> {
    const pinned = sources.map(({ file, generation: of }) => this.#bucket.file(file.name, { generation: of }))
    target.metadata.contentType = 'application/octet-stream'
    await this.#bucket.combine(pinned, target, generation === undefined ? {} : { ifGenerationMatch: generation })
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

  /** Parts are made larger, within bounds, so that one round of composing is enough. */
  #partSizeOf(size: number): number {
    return Math.max(this.#partSize, Math.min(largestPart, Math.ceil(size / mostComposed)))
  }

  #partFile(sha256: string, partSize: number, index: number): File {
    const number = String(index).padStart(5, '0')
    return this.#bucket.file(`${this.#prefix}${unfinishedPrefix}${sha256}/${partSize}-${number}`, {
      crc32cGenerator: () => new Crc32c(),
    })
  }

  async #unfinishedFiles(sha256: string): Promise<File[]> {
    const [files] = await this.#bucket.getFiles({ prefix: `${this.#prefix}${unfinishedPrefix}${sha256}` })
    return files
  }

  async #deleteUnfinished(sha256: string): Promise<void> {
    for (const file of await this.#unfinishedFiles(sha256)) await file.delete({ ignoreNotFound: true })
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

async function assertContent(key: string, expect: Expectation, size: number, hash: ContentHash): Promise<void> {
  if (expect.size !== undefined && size !== expect.size)
    throw new ContentMismatch(key, `${expect.size} bytes`, String(size))
  const sha256 = await hash.digest()
  if (expect.sha256 !== undefined && sha256 !== expect.sha256) {
    throw new ContentMismatch(key, `SHA-256 ${expect.sha256}`, sha256)
  }
}
