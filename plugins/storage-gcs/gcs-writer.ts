import type { Bucket } from '@google-cloud/storage'
import {
  Conflict,
  ContentHasher,
  ContentMismatch,
  type ContentSource,
  type Expectation,
  Failure,
  type LoadedObject,
  type ObjectStat,
  type OperationOptions,
  type RemoveOptions,
  type StorageWriter,
  type WriteOptions,
} from 'mirrorface/plugin'
import { isMissingObject, statusOf, unavailable } from './gcs-errors.ts'
import { loadObject, statObject, toStat } from './gcs-object.ts'
import { PartedUploads } from './parted-uploads.ts'
import { retryTransient } from './retry-transient.ts'
import { gatherContent, streamContent } from './send-content.ts'

/** Bytes sent by one request of a resumable upload: a multiple of 256 KiB. */
const uploadChunk = 8 * 1024 * 1024

/** Milliseconds between two changes of an object: the service takes about one a second. */
const changeInterval = 1000

export interface GcsWriterOptions {
  /** By a client that never retries: it matters whether a request was repeated. */
  readonly bucket: Bucket
  /** By a client that retries: for uploads whose size is not known, which it resumes by itself. */
  readonly retried: Bucket
  /** Of every object's name. */
  readonly prefix: string
  readonly partSize: number
}

/**
 * Writes objects so that a reader sees all of one or nothing: an upload becomes an object only when
 * it is closed, and it is closed only when size and SHA-256 are right. A condition is the service's
 * own `ifGenerationMatch`.
 */
export class GcsWriter implements StorageWriter {
  readonly #options: GcsWriterOptions
  readonly #hasher = new ContentHasher()
  readonly #parted: PartedUploads

  constructor(options: GcsWriterOptions) {
    this.#options = options
    this.#parted = new PartedUploads(options.bucket, options.prefix, options.partSize, this.#hasher)
  }

  async load(key: string, options: OperationOptions = {}): Promise<LoadedObject | undefined> {
    return await this.#explained(() => loadObject(this.#options.bucket, this.#options.prefix, key, options))
  }

  async write(
    key: string,
    content: ContentSource,
    expect: Expectation,
    options: WriteOptions = {},
  ): Promise<ObjectStat> {
    if (expect.keepExisting !== true) return await this.#writeIf(key, content, expect, generationOf(options), options)
    const present = await this.#stat(key)
    const isDone = ({ size }: ObjectStat) => size === (expect.size ?? size)
    if (present !== undefined && isDone(present)) return present
    try {
      // One of another size is replaced, but only if nobody else did so meanwhile.
      return await this.#writeIf(key, content, expect, Number(present?.generation ?? 0), options)
    } catch (error) {
      // Another writer of the same may have finished meanwhile, and removed the parts that both had used.
      const other = error instanceof ContentMismatch ? undefined : await this.#stat(key)
      if (other !== undefined && isDone(other)) return other
      throw error
    }
  }

  async remove(key: string, { ifGeneration, signal }: RemoveOptions = {}): Promise<void> {
    const file = this.#options.bucket.file(this.#options.prefix + key)
    const remove = async (earlier: number) => {
      try {
        await file.delete(ifGeneration === undefined ? {} : { ifGenerationMatch: ifGeneration })
      } catch (error) {
        const isGone = isMissingObject(error)
        if (isGone && (ifGeneration === undefined || earlier > 0)) return
        if (isGone || statusOf(error) === 412) throw this.#conflict(key, error)
        throw error
      }
    }
    await this.#explained(() => retryTransient(remove, signal === undefined ? {} : { signal }))
  }

  async discardUnfinished(before: Date, { dryRun = false }: { dryRun?: boolean } = {}): Promise<number> {
    return await this.#explained(() => this.#parted.discard(before, dryRun))
  }

  async #stat(key: string): Promise<ObjectStat | undefined> {
    return await this.#explained(() => statObject(this.#options.bucket, this.#options.prefix, key))
  }

  /** `generation` is what the object must be at: 0 for absent; `undefined`: whatever it is at. */
  async #writeIf(
    key: string,
    content: ContentSource,
    expect: Expectation,
    generation: number | string | undefined,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const { sha256, size } = expect
    return await this.#explained(async () => {
      try {
        if (sha256 !== undefined && size !== undefined && size > this.#parted.partSize)
          await this.#parted.write(key, content, { ...expect, sha256, size }, generation, options)
        else if (size !== undefined) return await this.#writeAtOnce(key, content, expect, generation, options)
        else await this.#stream(key, content, expect, generation, options)
      } catch (error) {
        if (statusOf(error) === 412 && !(error instanceof Failure)) throw this.#conflict(key, error)
        throw error
      }
      const written = await this.#stat(key)
      if (written === undefined) throw new Error(`${key} is not there after it was written`)
      return written
    })
  }

  /** From memory, so that it can be sent again whole. */
  async #writeAtOnce(
    key: string,
    content: ContentSource,
    expect: Expectation,
    generation: number | string | undefined,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const bytes = await gatherContent(key, content, expect, this.#hasher, options)
    const file = this.#options.bucket.file(this.#options.prefix + key)
    const save = async (earlier: number): Promise<ObjectStat> => {
      try {
        await file.save(bytes, { resumable: false, ...uploadOptions(generation, expect.sha256) })
        return toStat(this.#options.prefix, file.metadata)
      } catch (error) {
        // The response of an earlier attempt may have been lost: what it wrote has these very bytes.
        const found = statusOf(error) === 412 && earlier > 0 ? await this.load(key) : undefined
        if (found?.bytes.equals(bytes) === true) return found
        throw error
      }
    }
    return await retryTransient(save, options)
  }

  async #stream(
    key: string,
    content: ContentSource,
    expect: Expectation,
    generation: number | string | undefined,
    options: OperationOptions,
  ): Promise<void> {
    const upload = this.#options.retried.file(this.#options.prefix + key).createWriteStream({
      resumable: true,
      chunkSize: uploadChunk,
      highWaterMark: 1 << 20,
      ...uploadOptions(generation, expect.sha256),
    })
    await streamContent(upload, key, content, expect, this.#hasher, options)
  }

  #conflict(key: string, cause: unknown): Conflict {
    return new Conflict('gcs', key, { cause, retryAfter: changeInterval })
  }

  /** Gives errors of the service a name that a caller can act on; those of the source pass. */
  async #explained<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      if (error instanceof Failure || statusOf(error) === undefined) throw error
      throw unavailable(this.#options.bucket.name, error)
    }
  }
}

function generationOf({ ifAbsent, ifGeneration }: WriteOptions): number | string | undefined {
  return ifAbsent === true ? 0 : ifGeneration
}

function uploadOptions(generation: number | string | undefined, sha256: string | undefined) {
  return {
    validation: 'crc32c' as const,
    metadata: {
      contentType: 'application/octet-stream',
      // Objects without a content hash change: no cache may answer for them.
      ...(sha256 === undefined ? { cacheControl: 'no-store' } : { metadata: { sha256 } }),
    },
    ...(generation !== undefined && { preconditionOpts: { ifGenerationMatch: generation } }),
  }
}
