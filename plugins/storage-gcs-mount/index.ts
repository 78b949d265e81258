import { definePlugin, directoryOf } from 'mirrorface/plugin'
import { z } from 'zod'
import { openGcsMount } from './gcs-mount.ts'

export const gcsMountOptions = z.strictObject({
  /** Where the bucket is mounted, or a folder below. */
  directory: z.string().min(1),
  /** Refuse a directory that is not on a FUSE file system: an unmounted bucket looks like an empty mirror. */
  requireFuse: z.boolean().default(true),
  /** How many immutable objects' sizes are kept in memory, so that the mount need not be asked again. */
  cachedStats: z.int().positive().default(100_000),
})

export default definePlugin({
  kind: 'storage',
  name: 'gcs-mount',
  options: gcsMountOptions,
  urls: { 'gcs-mount': directoryOf },
  create: (options) => openGcsMount(options),
})
