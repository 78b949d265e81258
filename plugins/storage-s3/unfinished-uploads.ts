import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type MultipartUpload,
} from '@aws-sdk/client-s3'
import { type OperationOptions, retryTransient } from 'mirrorface/plugin'
import type { S3Bucket } from './s3-bucket.ts'
import { codeOf, isTransient } from './s3-errors.ts'
import { signalOf } from './s3-object.ts'

/** Aborts multipart uploads that nobody has sent a part of since `before`; resolves to the bytes of their parts. */
export async function discardUploads(
  bucket: S3Bucket,
  before: Date,
  dryRun: boolean,
  options: OperationOptions,
): Promise<number> {
  const { client, name: Bucket } = bucket
  let freed = 0
  for await (const { Key, UploadId, Initiated } of uploads(bucket, options)) {
    if (Initiated === undefined || Initiated >= before) continue
    const parts = await partsOf(bucket, { Key, UploadId }, options)
    // The first parts of a long upload are old while its last are being sent.
    if (parts === undefined || parts.latest >= before) continue
    freed += parts.bytes
    if (dryRun) continue
    const abort = async () =>
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), signalOf(options))
    await retryTransient(abort, isTransient, options).catch((error: unknown) => {
      if (codeOf(error) !== 'NoSuchUpload') throw error
    })
  }
  return freed
}

/** Uploads under way, and those that were left. */
async function* uploads(
  { client, name: Bucket, prefix: Prefix }: S3Bucket,
  options: OperationOptions,
): AsyncGenerator<MultipartUpload> {
  let from = {}
  for (;;) {
    const command = new ListMultipartUploadsCommand({ Bucket, Prefix, ...from })
    const list = async () => await client.send(command, signalOf(options))
    const {
      Uploads = [],
      IsTruncated,
      NextKeyMarker,
      NextUploadIdMarker,
    } = await retryTransient(list, isTransient, options)
    yield* Uploads
    if (IsTruncated !== true || NextKeyMarker === undefined) return
    from = { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker !== undefined && { UploadIdMarker: NextUploadIdMarker }) }
  }
}

/** `undefined` where the upload has ended meanwhile. */
async function partsOf(
  { client, name: Bucket }: S3Bucket,
  { Key, UploadId }: MultipartUpload,
  options: OperationOptions,
): Promise<{ bytes: number; latest: Date } | undefined> {
  let bytes = 0
  let latest = new Date(0)
  let from = {}
  try {
    for (;;) {
      const command = new ListPartsCommand({ Bucket, Key, UploadId, ...from })
      const list = async () => await client.send(command, signalOf(options))
      const { Parts = [], IsTruncated, NextPartNumberMarker } = await retryTransient(list, isTransient, options)
      for (const { Size = 0, LastModified } of Parts) {
        bytes += Size
        if (LastModified !== undefined && LastModified > latest) latest = LastModified
      }
      // The marker is said of the last page too: the SDK's own paginator goes on for ever.
      if (IsTruncated !== true || NextPartNumberMarker === undefined) return { bytes, latest }
      from = { PartNumberMarker: NextPartNumberMarker }
    }
  } catch (error) {
    if (codeOf(error) === 'NoSuchUpload') return undefined
    throw error
  }
}
