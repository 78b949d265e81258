import { bucketOf, definePlugin } from 'mirrorface/plugin'
import { z } from 'zod'

export const gcsStorageOptions = z.strictObject({
  /** `name`, `name/prefix` or `gs://name/prefix`. */
  bucket: z
    .string()
    .regex(
      /^(?:gs:\/\/)?[a-z0-9][a-z0-9._-]{1,221}[a-z0-9](?:\/[A-Za-z0-9._%~!@+=,/-]*)?$/,
      'expected name, name/prefix or gs://name/prefix',
    ),
  /** Another address of the service: an emulator. It is asked anonymously. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Seconds for which a signed URL holds. */
  signedUrlLifetime: z.int().min(60).max(604_800).default(3600),
  /**
   * Bytes above which an object is uploaded in parts of this size, so that an interrupted upload goes
   * on from the last. A write holds two parts in memory.
   */
  partSize: z
    .int()
    .min(5 * 1024 * 1024)
    .default(16 * 1024 * 1024),
  /**
   * Milliseconds without a byte in either direction after which a request is given up, and repeated. Less than
   * `storageTimeout`, within which a server wants its answer.
   */
  stallTimeout: z.int().min(100).default(8000),
})

export default definePlugin({
  kind: 'storage',
  name: 'gcs',
  options: gcsStorageOptions,
  urls: {
    gs: (url) => {
      const { bucket, prefix } = bucketOf(url)
      return { bucket: prefix === '' ? bucket : `${bucket}/${prefix}` }
    },
  },
  // Google's client is loaded where a bucket is opened, not where a configuration is read.
  create: async (options) => await (await import('./gcs-storage.ts')).openGcsStorage(options),
})
