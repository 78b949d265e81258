import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import {
  Crc32c,
  type ObjectStat,
  type OperationOptions,
  type PartedUpload,
  retryTransient,
  type WriteCondition,
} from 'mirrorface/plugin'
import type { S3Bucket } from './s3-bucket.ts'
import { isTransient, statusOf } from './s3-errors.ts'
import { signalOf, statObject } from './s3-object.ts'

export function conditionHeaders({ ifAbsent, ifGeneration }: WriteCondition): { IfNoneMatch?: '*'; IfMatch?: string } {
  if (ifAbsent === true) return { IfNoneMatch: '*' }
  return ifGeneration === undefined ? {} : { IfMatch: ifGeneration }
}

/** What every object is made with. */
export function objectHeaders(sha256: string | undefined) {
  return {
    ContentType: 'application/octet-stream',
    // Objects without a content hash change: no cache may answer for them.
    ...(sha256 === undefined && { CacheControl: 'no-store' }),
  }
}

export interface MultipartTarget {
  readonly bucket: S3Bucket
  readonly key: string
  readonly sha256: string | undefined
  readonly condition: WriteCondition
}

/** Begins a multipart upload: its parts are no object until it is completed, by a conditional request. */
export async function beginMultipart(
  { bucket, key, sha256, condition }: MultipartTarget,
  options: OperationOptions,
): Promise<PartedUpload> {
  const { client, name, checksums } = bucket
  const Bucket = name
  const Key = bucket.prefix + key
  // By which the object is known for this upload's, where the response to its completion was lost.
  const writer = randomUUID()
  const retried = async <T>(act: (earlier: number) => Promise<T>) => await retryTransient(act, isTransient, options)
  const { UploadId } = await retried(
    async () =>
      await client.send(
        new CreateMultipartUploadCommand({
          Bucket,
          Key,
          ...objectHeaders(sha256),
          Metadata: { writer, ...(sha256 !== undefined && { sha256 }) },
          ...(checksums && { ChecksumAlgorithm: 'CRC32C', ChecksumType: 'FULL_OBJECT' }),
        }),
        signalOf(options),
      ),
  )
  const parts: { PartNumber: number; ETag: string | undefined; ChecksumCRC32C?: string }[] = []

  async function sendPart(index: number, bytes: Buffer): Promise<void> {
    const crc32c = new Crc32c()
    crc32c.update(bytes)
    const checksum = checksums ? { ChecksumCRC32C: crc32c.toString() } : {}
    const PartNumber = index + 1
    const { ETag } = await retried(
      async () =>
        await client.send(
          new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: bytes, ...checksum }),
          signalOf(options),
        ),
    )
    parts[index] = { PartNumber, ETag, ...checksum }
  }

  async function complete(size: number, crc32c: Crc32c): Promise<ObjectStat> {
    const command = {
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts: parts },
      ...conditionHeaders(condition),
      ...(checksums && { ChecksumCRC32C: crc32c.toString(), ChecksumType: 'FULL_OBJECT' as const }),
      MpuObjectSize: size,
    }
    const written = await retried(async (earlier) => {
      try {
        await client.send(new CompleteMultipartUploadCommand(command), signalOf(options))
      } catch (error) {
        const isAnswer = (statusOf(error) ?? 500) < 500
        const found = earlier > 0 && isAnswer ? await statObject(bucket, key, options) : undefined
        if (found?.writer !== writer) throw error
      }
      return await statObject(bucket, key, options)
    })
    if (written === undefined) throw new Error(`${key} is not there after it was written`)
    return written
  }

  async function abort(): Promise<void> {
    // What is left of it a sweep discards.
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined)
  }

  return { sendPart, complete, abort }
}
