import { bucketOf, definePlugin } from 'mirrorface/plugin'
import { z } from 'zod'

export const s3StorageOptions = z.strictObject({
  /** `name`, `name/prefix` or `s3://name/prefix`. */
  bucket: z
    .string()
    .regex(
      /^(?:s3:\/\/)?[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9](?:\/[^\0]*)?$/,
      'expected name, name/prefix or s3://name/prefix',
    ),
  /** Another service than Amazon's: MinIO, Ceph, R2. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Otherwise as the SDK finds it; with an `endpoint`, `us-east-1`. */
  region: z.string().min(1).optional(),
  /** Put the bucket's name into the path and not into the host's name; by default where there is an `endpoint`. */
  forcePathStyle: z.boolean().optional(),
  /** Have the service check and keep a CRC-32C of every object; for services that refuse its headers, false. */
  checksums: z.boolean().default(true),
  /** Seconds for which a signed URL holds, if the credentials that sign it do. */
  signedUrlLifetime: z.int().min(60).max(604_800).default(3600),
  /** Bytes above which an object is a multipart upload, in parts of this size. A write holds two in memory. */
  partSize: z
    .int()
    .min(5 * 1024 * 1024)
    .max(1024 * 1024 * 1024)
    .default(16 * 1024 * 1024),
})

export default definePlugin({
  kind: 'storage',
  name: 's3',
  options: s3StorageOptions,
  urls: {
    s3: (url) => {
      const { bucket, prefix } = bucketOf(url)
      return { bucket: prefix === '' ? bucket : `${bucket}/${prefix}` }
    },
  },
  // The SDK is loaded where a bucket is opened, not where a configuration is read.
  create: async (options) => await (await import('./s3-storage.ts')).openS3Storage(options),
})
