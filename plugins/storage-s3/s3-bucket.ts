import { S3Client } from '@aws-sdk/client-s3'
import type { z } from 'zod'
import type { s3StorageOptions } from './index.ts'

export type S3StorageOptions = z.output<typeof s3StorageOptions>

/** A bucket, the folder in it that is the storage, and the client that asks for it. */
export interface S3Bucket {
  readonly client: S3Client
  readonly name: string
  /** Of every object's name: empty, or with a slash at its end. */
  readonly prefix: string
  readonly checksums: boolean
}

export function openBucket(options: S3StorageOptions): S3Bucket {
  const [name = '', ...segments] = options.bucket.replace(/^s3:\/\//, '').split('/')
  const folder = segments.filter((segment) => segment !== '').join('/')
  const { endpoint, checksums } = options
  const region = options.region ?? (endpoint === undefined ? undefined : defaultRegion())
  const client = new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    // Requests are repeated where it is known what a lost response means.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED', // checksums are our own, and cover whole objects
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  return { client, name, prefix: folder === '' ? '' : `${folder}/`, checksums }
}

/** Services that are not Amazon's have one region, and most want this name for it. */
function defaultRegion(): string {
  return process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1'
}
