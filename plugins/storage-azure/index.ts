import { bucketOf, definePlugin, UsageFailure } from 'mirrorface/plugin'
import { z } from 'zod'

export const azureStorageOptions = z.strictObject({
  /** The storage account's name. */
  account: z.string().regex(/^[a-z0-9]{3,24}$/, 'expected the name of a storage account: 3 to 24 letters and digits'),
  /** `name` or `name/prefix`. */
  container: z
    .string()
    .regex(/^[a-z0-9$](?:-?[a-z0-9]){2,62}(?:\/[^\0]*)?$/, 'expected a container as name or name/prefix'),
  /** Another address of the account's blobs: another cloud, a private endpoint, Azurite. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Seconds for which a signed URL holds. */
  signedUrlLifetime: z.int().min(60).max(604_800).default(3600),
  /** Bytes above which a blob is uploaded in blocks of this size. A write holds two in memory. */
  partSize: z
    .int()
    .min(1024 * 1024)
    .max(1024 * 1024 * 1024)
    .default(16 * 1024 * 1024),
})

export default definePlugin({
  kind: 'storage',
  name: 'azure',
  options: azureStorageOptions,
  urls: {
    az: (url) => {
      const { bucket: account, prefix: container } = bucketOf(url)
      if (container === '')
        throw new UsageFailure(
          `az://${account} names no container: write az://${account}/container or az://${account}/container/prefix`,
        )
      return { account, container }
    },
  },
  // The SDK is loaded where a container is opened, not where a configuration is read.
  create: async (options) => await (await import('./azure-storage.ts')).openAzureStorage(options),
})
