import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import {
  ContentHasher,
  type ContentSource,
  Crc32c,
  type Expectation,
  type LoadedObject,
  type ObjectService,
  type ObjectStat,
  type OperationOptions,
  retryTransient,
  uploadInParts,
  type WriteCondition,
} from 'mirrorface/plugin'
import { beginMultipart, conditionHeaders, objectHeaders } from './multipart-upload.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { isMissingObject, isTransient, statusOf, unavailable } from './s3-errors.ts'
import { loadObject, signalOf, statObject } from './s3-object.ts'
import { discardUploads } from './unfinished-uploads.ts'

/** Conditions are the service's own `If-Match` and `If-None-Match`; a generation is an ETag. */
export class S3Service implements ObjectService {
  readonly name = 's3'
  readonly changeInterval = 0
  readonly largestPut: number
  readonly #bucket: S3Bucket
  readonly #hasher = new ContentHasher()

  constructor(bucket: S3Bucket, partSize: number) {
    this.#bucket = bucket
    this.largestPut = partSize
  }

  async stat(key: string, options: OperationOptions): Promise<ObjectStat | undefined> {
    return await retryTransient(() => statObject(this.#bucket, key, options), isTransient, options)
  }

  async load(key: string, options: OperationOptions): Promise<LoadedObject | undefined> {
    return await retryTransient(() => loadObject(this.#bucket, key, options), isTransient, options)
  }

  async put(
    key: string,
    bytes: Buffer,
    { sha256 }: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const { client, name, prefix, checksums } = this.#bucket
    const crc32c = new Crc32c()
    crc32c.update(bytes)
    const written = await client.send(
      new PutObjectCommand({
        Bucket: name,
        Key: prefix + key,
        Body: bytes,
        ...objectHeaders(sha256),
        ...(sha256 !== undefined && { Metadata: { sha256 } }),
        ...conditionHeaders(condition),
        ...(checksums && { ChecksumCRC32C: crc32c.toString() }),
      }),
      signalOf(options),
    )
    return {
      key,
      size: bytes.length,
      updatedAt: new Date(),
      ...(checksums && { crc32c: crc32c.toString() }),
      ...(written.ETag !== undefined && { generation: written.ETag }),
    }
  }

  async upload(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const upload = await beginMultipart({ bucket: this.#bucket, key, sha256: expect.sha256, condition }, options)
    const parted = { key, content, expect, partSize: this.largestPut, hasher: this.#hasher }
    return await uploadInParts(upload, parted, options)
  }

  async remove(key: string, ifGeneration: string | undefined, options: OperationOptions): Promise<boolean> {
    const { client, name, prefix } = this.#bucket
    const condition = ifGeneration === undefined ? {} : { IfMatch: ifGeneration }
    // A conditional removal of what is absent is answered 204, as if it had been there.
    if (ifGeneration !== undefined && (await statObject(this.#bucket, key, options)) === undefined) return false
    try {
      await client.send(new DeleteObjectCommand({ Bucket: name, Key: prefix + key, ...condition }), signalOf(options))
      return true
    } catch (error) {
      if (isMissingObject(error)) return false
      throw error
    }
  }

  async discardUnfinished(before: Date, dryRun: boolean, options: OperationOptions): Promise<number> {
    return await discardUploads(this.#bucket, before, dryRun, options)
  }

  /** 404 is said of a condition on an object that is gone, as of an upload that another's completion has ended. */
  isConflict(error: unknown): boolean {
    const status = statusOf(error)
    return status === 412 || (status === 404 && isMissingObject(error))
  }

  isTransient(error: unknown): boolean {
    return isTransient(error)
  }

  explain(error: unknown): unknown {
    return isOfTheService(error) || isTransient(error) ? unavailable(this.#bucket.name, error) : error
  }
}

function isOfTheService(error: unknown): boolean {
  return error instanceof Error && ('$metadata' in error || error.name === 'CredentialsProviderError')
}
