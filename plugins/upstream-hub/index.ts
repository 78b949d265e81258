import { definePlugin } from 'mirrorface/plugin'
import { z } from 'zod'
import { HubUpstream } from './hub-upstream.ts'

const milliseconds = z.int().positive()

export const hubUpstreamOptions = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).default('https://huggingface.co'),
  /** Milliseconds to connect in. */
  connectTimeout: milliseconds.default(5_000),
  /** Milliseconds until the answer's head arrives. */
  headersTimeout: milliseconds.default(30_000),
  /** Milliseconds without a byte of the body. */
  idleTimeout: milliseconds.default(60_000),
})

export default definePlugin({
  kind: 'upstream',
  name: 'hub',
  options: hubUpstreamOptions,
  create: async (options, context) => new HubUpstream(options, context.logger),
})
