import type { Bucket } from '@google-cloud/storage'
import {
  ContentHasher,
  type ContentSource,
  type Expectation,
  type LoadedObject,
  type ObjectService,
  type ObjectStat,
  type OperationOptions,
  type WriteCondition,
} from 'mirrorface/plugin'
import { isMissingObject, isTransient, statusOf, unavailable } from './gcs-errors.ts'
import { loadObject, statObject, toStat } from './gcs-object.ts'
import { PartedUploads } from './parted-uploads.ts'
import { streamContent } from './send-content.ts'

/** Bytes sent by one request of a resumable upload: a multiple of 256 KiB. */
const uploadChunk = 8 * 1024 * 1024

export interface GcsServiceOptions {
  /** By a client that never retries: it matters whether a request was repeated. */
  readonly bucket: Bucket
  /** By a client that retries: for uploads whose size is not known, which it resumes by itself. */
  readonly retried: Bucket
  /** Of every object's name. */
  readonly prefix: string
  readonly partSize: number
}

/**
 * An upload becomes an object only when it is closed, and it is closed only when size and SHA-256 are right. A condition
 * is the service's own `ifGenerationMatch`.
 */
export class GcsService implements ObjectService {
  readonly name = 'gcs'
  readonly changeInterval = 1000 // the service takes about one change of an object a second
  readonly largestPut: number
  readonly #options: GcsServiceOptions
  readonly #hasher = new ContentHasher()
  readonly #parted: PartedUploads

  constructor(options: GcsServiceOptions) {
    this.#options = options
    this.largestPut = options.partSize
    this.#parted = new PartedUploads(options.bucket, options.prefix, options.partSize, this.#hasher)
  }

  async stat(key: string, options: OperationOptions = {}): Promise<ObjectStat | undefined> {
    return await statObject(this.#options.bucket, this.#options.prefix, key, options)
  }

  async load(key: string, options: OperationOptions = {}): Promise<LoadedObject | undefined> {
    return await loadObject(this.#options.bucket, this.#options.prefix, key, options)
  }

  async put(key: string, bytes: Buffer, { sha256 }: Expectation, condition: WriteCondition): Promise<ObjectStat> {
    const file = this.#options.bucket.file(this.#options.prefix + key)
    await file.save(bytes, { resumable: false, ...uploadOptions(generationOf(condition), sha256) })
    return toStat(this.#options.prefix, file.metadata)
  }

  async upload(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const { sha256, size } = expect
    const generation = generationOf(condition)
    if (sha256 !== undefined && size !== undefined && size > this.#parted.partSize)
      await this.#parted.write(key, content, { ...expect, sha256, size }, generation, options)
    else {
      const upload = this.#options.retried.file(this.#options.prefix + key).createWriteStream({
        resumable: true,
        chunkSize: uploadChunk,
        highWaterMark: 1 << 20,
        ...uploadOptions(generation, sha256),
      })
      await streamContent(upload, key, content, expect, this.#hasher, options)
    }
    const written = await this.stat(key)
    if (written === undefined) throw new Error(`${key} is not there after it was written`)
    return written
  }

  async remove(key: string, ifGeneration: string | undefined): Promise<boolean> {
    const file = this.#options.bucket.file(this.#options.prefix + key)
    try {
      await file.delete(ifGeneration === undefined ? {} : { ifGenerationMatch: ifGeneration })
      return true
    } catch (error) {
      if (isMissingObject(error)) return false
      throw error
    }
  }

  async discardUnfinished(before: Date, dryRun: boolean): Promise<number> {
    return await this.#parted.discard(before, dryRun)
  }

  isConflict(error: unknown): boolean {
    return statusOf(error) === 412
  }

  isTransient(error: unknown): boolean {
    return isTransient(error)
  }

  explain(error: unknown): unknown {
    return statusOf(error) === undefined ? error : unavailable(this.#options.bucket.name, error)
  }
}

/** 0 is the generation of what is absent. */
function generationOf({ ifAbsent, ifGeneration }: WriteCondition): number | string | undefined {
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
