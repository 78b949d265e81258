import { createHash } from 'node:crypto'
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
import { loadBlob, signalOf, statBlob, toStat } from './azure-blob.ts'
import type { AzureContainer } from './azure-container.ts'
import { isConflict, isMissingBlob, isOfTheService, isTransient, unavailable } from './azure-errors.ts'
import { beginBlocks, blobProperties, conditionsOf } from './block-upload.ts'

/** Conditions are the service's own `If-Match` and `If-None-Match`; a generation is an ETag, new at each write. */
export class AzureService implements ObjectService {
  readonly name = 'azure'
  readonly changeInterval = 0
  readonly largestPut: number
  readonly #container: AzureContainer
  readonly #hasher = new ContentHasher()

  constructor(container: AzureContainer, partSize: number) {
    this.#container = container
    this.largestPut = partSize
  }

  async stat(key: string, options: OperationOptions): Promise<ObjectStat | undefined> {
    return await retryTransient(() => statBlob(this.#container, key, options), isTransient, options)
  }

  async load(key: string, options: OperationOptions): Promise<LoadedObject | undefined> {
    return await retryTransient(() => loadBlob(this.#container, key, options), isTransient, options)
  }

  async put(
    key: string,
    bytes: Buffer,
    { sha256 }: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const { client, prefix } = this.#container
    const crc32c = new Crc32c()
    crc32c.update(bytes)
    const { blobHTTPHeaders, metadata } = blobProperties(sha256, crc32c)
    const written = await client.getBlockBlobClient(prefix + key).upload(bytes, bytes.length, {
      blobHTTPHeaders: { ...blobHTTPHeaders, blobContentMD5: createHash('md5').update(bytes).digest() },
      metadata,
      conditions: conditionsOf(condition),
      ...signalOf(options),
    })
    return { ...toStat(key, written), size: bytes.length }
  }

  async upload(
    key: string,
    content: ContentSource,
    expect: Expectation,
    condition: WriteCondition,
    options: OperationOptions,
  ): Promise<ObjectStat> {
    const upload = beginBlocks({ container: this.#container, key, sha256: expect.sha256, condition }, options)
    const parted = { key, content, expect, partSize: this.largestPut, hasher: this.#hasher }
    return await uploadInParts(upload, parted, options)
  }

  async remove(key: string, ifGeneration: string | undefined, options: OperationOptions): Promise<boolean> {
    const { client, prefix } = this.#container
    const conditions = conditionsOf(ifGeneration === undefined ? {} : { ifGeneration })
    try {
      await client.getBlobClient(prefix + key).delete({ conditions, ...signalOf(options) })
      return true
    } catch (error) {
      if (isMissingBlob(error)) return false
      throw error
    }
  }

  /** The service forgets blocks that were not committed a week after the last; there is no request for it. */
  async discardUnfinished(): Promise<number> {
    return 0
  }

  isConflict(error: unknown): boolean {
    return isConflict(error)
  }

  isTransient(error: unknown): boolean {
    return isTransient(error)
  }

  explain(error: unknown): unknown {
    return isOfTheService(error) ? unavailable(this.#container.client.containerName, error) : error
  }
}
