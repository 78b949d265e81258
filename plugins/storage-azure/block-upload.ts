import { createHash, randomUUID } from 'node:crypto'
import type { BlobRequestConditions } from '@azure/storage-blob'
import {
  type Crc32c,
  type ObjectStat,
  type OperationOptions,
  type PartedUpload,
  retryTransient,
  type WriteCondition,
} from 'mirrorface/plugin'
import { signalOf, statBlob } from './azure-blob.ts'
import type { AzureContainer } from './azure-container.ts'
import { isConflict, isTransient } from './azure-errors.ts'

export function conditionsOf({ ifAbsent, ifGeneration }: WriteCondition): BlobRequestConditions {
  if (ifAbsent === true) return { ifNoneMatch: '*' }
  return ifGeneration === undefined ? {} : { ifMatch: `"${ifGeneration}"` }
}

/** What every blob is made with. */
export function blobProperties(sha256: string | undefined, crc32c: Crc32c) {
  return {
    blobHTTPHeaders: {
      blobContentType: 'application/octet-stream',
      // Blobs without a content hash change: no cache may answer for them.
      ...(sha256 === undefined && { blobCacheControl: 'no-store' }),
    },
    metadata: { crc32c: crc32c.toString(), ...(sha256 !== undefined && { sha256 }) },
  }
}

export interface BlockTarget {
  readonly container: AzureContainer
  readonly key: string
  readonly sha256: string | undefined
  readonly condition: WriteCondition
}

/** Blocks that are no blob until their list is committed, by a conditional request. What is not committed expires. */
export function beginBlocks(
  { container, key, sha256, condition }: BlockTarget,
  options: OperationOptions,
): PartedUpload {
  const blob = container.client.getBlockBlobClient(container.prefix + key)
  // Blocks of two uploads of one blob lie side by side; it is also known by this whose blob there is.
  const writer = randomUUID()
  const blocks: string[] = []
  const retried = async <T>(act: (earlier: number) => Promise<T>) => await retryTransient(act, isTransient, options)

  async function sendPart(index: number, bytes: Buffer): Promise<void> {
    const id = Buffer.from(`${writer}-${String(index).padStart(6, '0')}`).toString('base64')
    // The service itself refuses bytes of another hash.
    const transactionalContentMD5 = createHash('md5').update(bytes).digest()
    const sent = { transactionalContentMD5, ...signalOf(options) }
    if (bytes.length > 0) await retried(async () => await blob.stageBlock(id, bytes, bytes.length, sent))
    if (bytes.length > 0) blocks[index] = id
  }

  async function complete(_size: number, crc32c: Crc32c): Promise<ObjectStat> {
    const { metadata, ...properties } = blobProperties(sha256, crc32c)
    const commit = { ...properties, metadata: { ...metadata, writer }, conditions: conditionsOf(condition) }
    const written = await retried(async (earlier) => {
      try {
        await blob.commitBlockList(blocks, { ...commit, ...signalOf(options) })
      } catch (error) {
        // The response of an earlier attempt may have been lost.
        const found = earlier > 0 && isConflict(error) ? await statBlob(container, key, options) : undefined
        if (found?.writer !== writer) throw error
      }
      return await statBlob(container, key, options)
    })
    if (written === undefined) throw new Error(`${key} is not there after it was written`)
    return written
  }

  return { sendPart, complete, abort: async () => undefined }
}
