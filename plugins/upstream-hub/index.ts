import { definePlugin } from 'mirrorface/plugin'
import { z } from 'zod'
import { HubUpstream } from './hub-upstream.ts'

const milliseconds = z.int().positive()

export const hubUpstreamOptions = z.strictObject({
  /** For logs and metrics, where there are several. */
  name: z.string().min(1).default('hub'),
  url: z.url({ protocol: /^https?$/ }).default('https://huggingface.co'),
  /** Milliseconds to connect in. */
  connectTimeout: milliseconds.default(5_000),
  /** Milliseconds until the answer's head arrives. */
  headersTimeout: milliseconds.default(30_000),
  /** Milliseconds without a byte of the body. */
  idleTimeout: milliseconds.default(60_000),
  /** Milliseconds for a whole answer, from the request to its last byte; absent: as long as bytes come. */
  totalTimeout: milliseconds.optional(),
  /** Times that a request which did no harm is sent again when the connection failed before the answer. */
  retries: z.int().min(0).max(10).default(2),
  /** `pass`: clients fetch from the Hub's CDN themselves; `follow`: MirrorFace does, and takes Xet off answers. */
  redirects: z.enum(['pass', 'follow']).default('pass'),
  /** Hosts (globs, or `host:port`) that `follow` may go to. */
  followHosts: z.array(z.string().min(1)).default(['*.huggingface.co', '*.hf.co', '**.xethub.hf.co']),
  /** A service token that is sent for every client, in place of the client's own. */
  token: z.string().min(1).optional(),
  /** Failures in a row after which the Hub is left alone. */
  breakerFailures: z.int().positive().default(10),
  /** Milliseconds until one request asks whether it is back. */
  breakerPause: milliseconds.default(5_000),
  /** Bytes of memory for metadata that many clients ask for. */
  metadataMemory: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  /** Milliseconds for which metadata is given again without asking, to the same credentials. */
  metadataFreshFor: z.int().min(0).default(1_000),
  /** Milliseconds for which metadata is given again when the Hub can't be asked. */
  staleIfError: z
    .int()
    .min(0)
    .default(24 * 3600 * 1000),
})

export default definePlugin({
  kind: 'upstream',
  name: 'hub',
  options: hubUpstreamOptions,
  create: async (options, context) => new HubUpstream(options, context.logger),
})
