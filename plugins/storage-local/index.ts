import { definePlugin, directoryOf } from 'mirrorface/plugin'
import { z } from 'zod'
import { openLocalStorage } from './local-storage.ts'

export default definePlugin({
  kind: 'storage',
  name: 'local',
  options: z.strictObject({
    /** Made if missing, unless `create` is false. */
    directory: z.string().min(1),
    create: z.boolean().default(true),
  }),
  urls: { file: directoryOf },
  create: (options) => openLocalStorage(options),
})
