import ipaddr from 'ipaddr.js'
import { z } from 'zod'

const milliseconds = z
  .int()
  .positive()
  .max(2 ** 31 - 1)

export const hubUpstreamOptions = z.strictObject({
  /** For logs and metrics, where there are several. */
  name: z.string().min(1).default('hub'),
  url: z
    .url({ protocol: /^https?$/ })
    .refine((text) => isBare(text), 'expected scheme, host and path only')
    .default('https://huggingface.co'),
  /** Milliseconds to connect in, TLS included. */
  connectTimeout: milliseconds.default(5_000),
  /** Milliseconds from the last byte of the request to the head of the answer. */
  headersTimeout: milliseconds.default(30_000),
  /** Milliseconds without a byte of a body, in either direction, while the other side waits for it. */
  idleTimeout: milliseconds.default(60_000),
  /** Milliseconds for a whole answer, from the request to its last byte; absent: as long as bytes come. */
  totalTimeout: milliseconds.optional(),
  /** Times that a request that can be repeated without harm is sent again after the connection failed before the answer. */
  retries: z.int().min(0).max(10).default(2),
  /** `pass`: clients fetch from the Hub's CDN themselves; `follow`: MirrorFace does, and removes Xet from answers. */
  redirects: z.enum(['pass', 'follow']).default('pass'),
  /** Let clients use Xet: `false` removes it from answers in `pass` too, for what it fetches passes every policy by. */
  xet: z.boolean().default(true),
  /** Hosts (globs, or `host:port`) that redirects are followed to. */
  followHosts: z.array(z.string().min(1)).default(['*.huggingface.co', '*.hf.co', '**.xethub.hf.co']),
  /** Networks (CIDR) that names in `followHosts` may resolve to although they are private: split DNS, a local CDN. */
  followPrivate: z
    .array(z.string().refine((text) => ipaddr.isValidCIDR(text), 'expected a network such as 10.0.0.0/8'))
    .default([]),
  /** The service token: this mirror's own account at the upstream. */
  token: z.string().min(1).optional(),
  /** Send clients' own tokens to this upstream; absent: only if it is the authority. */
  clientTokens: z.boolean().optional(),
  /** This upstream's word counts for access, and what is pulled comes from it; absent: the first upstream is the authority. */
  authority: z.boolean().optional(),
  /** Use the service token for writes of clients whose access token has `write: true`. */
  serviceWrites: z.boolean().default(false),
  /** Recognises a client's token for this upstream. */
  clientTokenPattern: z
    .string()
    .refine((text) => isPattern(text), 'expected a regular expression')
    .default('^(hf_|api_)'),
  /** Failures in a row after which the upstream is left alone. */
  breakerFailures: z.int().positive().default(10),
  /** Milliseconds until one request of the mirror's own asks whether it is back. */
  breakerPause: milliseconds.default(5_000),
  /** Bytes of memory for metadata that many clients ask for, keys included. */
  metadataMemory: z
    .int()
    .positive()
    .default(32 * 1024 * 1024),
  /** Milliseconds for which metadata is fresh if the upstream does not say; the longest that it is if it does. */
  metadataFreshFor: z.int().min(0).default(1_000),
  /** Milliseconds for which metadata may be served stale while the upstream can't be asked. */
  staleIfError: z
    .int()
    .min(0)
    .default(24 * 3600 * 1000),
})

export type HubUpstreamOptions = z.infer<typeof hubUpstreamOptions>

function isBare(text: string): boolean {
  if (!URL.canParse(text)) return true // reported as no URL
  const { search, hash, username, password } = new URL(text)
  return search === '' && hash === '' && username === '' && password === ''
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text)
    return true
  } catch {
    return false
  }
}

/** Whether clients are to be kept from Xet's servers: where they can't reach them, or must not. */
export function removesXet({ redirects, xet }: HubUpstreamOptions): boolean {
  return redirects === 'follow' || !xet
}
