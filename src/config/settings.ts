import { tmpdir } from 'node:os'
import { join } from 'node:path'
import envPaths from 'env-paths'
import { z } from 'zod'
import { logLevels } from '../telemetry/log-levels.ts'

/** One setting: what it means, what it may be, and where it can be given. */
export interface Setting {
  readonly description: string
  readonly schema: z.ZodType
  readonly default?: unknown
  /** The environment variable, where there is one. */
  readonly env?: string
  /** Several values: a flag that may be given again, a variable with commas. */
  readonly list?: boolean
  /** Keeps the value out of what `mirrorface config` prints. */
  readonly secret?: boolean
}

/** The longest duration, in milliseconds. Node's timers fire at once beyond 2^31 - 1 ms; margins are added to some. */
const longestDuration = 24 * 24 * 3600 * 1000

/** A whole number, or its digits: what `Number` makes of '', null or true is nobody's intent. */
const numberSchema = z
  .union(
    [
      z.number(),
      z
        .string()
        .trim()
        .regex(/^-?\d+$/)
        .transform(Number),
    ],
    'expected a whole number',
  )
  .pipe(z.int('expected a whole number'))
const portSchema = numberSchema.pipe(z.int().min(0).max(65535))
const flagSchema = z.union([z.boolean(), z.stringbool()])
const bytesSchema = numberSchema.pipe(z.int().positive())
const durationSchema = numberSchema.pipe(
  z.int().min(1, 'expected at least 1 ms').max(longestDuration, `expected at most ${longestDuration} ms (24 days)`),
)
const durationOrNoneSchema = numberSchema.pipe(
  z.int().min(0, 'expected 0 or more ms').max(longestDuration, `expected at most ${longestDuration} ms (24 days)`),
)
const pluginSchema = z.looseObject({ plugin: z.string().min(1) })
const listSchema = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(','))])
  .transform((items) => items.map((item) => item.trim()).filter((item) => item !== ''))

/** Where repositories are kept if nobody says otherwise: the same for the server and every command. */
export const defaultDirectory = join(envPaths('mirrorface', { suffix: '' }).data, 'storage')

/** Every setting. The README's table is made from this. */
export const settings = {
  host: { description: 'Address to listen on', schema: z.string().min(1), default: '0.0.0.0', env: 'MIRRORFACE_HOST' },
  port: { description: 'Port to listen on', schema: portSchema, default: 8000, env: 'MIRRORFACE_PORT' },
  metricsPort: {
    description: 'Port of the Prometheus metrics (`/metrics`)',
    schema: portSchema,
    default: 9000,
    env: 'MIRRORFACE_METRICS_PORT',
  },
  workers: {
    description: 'Processes that answer: a number, or `auto` for one for each CPU',
    schema: z.union([z.literal('auto'), numberSchema.pipe(z.int().min(1).max(256))]),
    default: 1,
    env: 'MIRRORFACE_WORKERS',
  },
  localDirectory: {
    description: 'Directory that holds the mirrored repositories, made if missing',
    schema: z.string().min(1),
    default: defaultDirectory,
    env: 'MIRRORFACE_LOCAL_DIRECTORY',
  },
  gcsBucket: {
    description:
      'Google Cloud Storage bucket that holds the mirrored repositories, `name[/prefix]`; instead of `localDirectory`',
    schema: z.string().min(1),
    env: 'MIRRORFACE_GCS_BUCKET',
  },
  gcsEndpoint: {
    description: 'Another address of Google Cloud Storage: an emulator',
    schema: z.url({ protocol: /^https?$/ }),
    env: 'MIRRORFACE_GCS_ENDPOINT',
  },
  gcsMount: {
    description: 'Directory where the bucket is mounted by GCS FUSE; instead of `localDirectory`',
    schema: z.string().min(1),
    env: 'MIRRORFACE_GCS_MOUNT',
  },
  delivery: {
    description:
      '`stream`; `redirect`: large files of a bucket by signed URL, past this server; `accel`: files of a directory by the nginx in front (`X-Accel-Redirect`)',
    schema: z.enum(['stream', 'redirect', 'accel']),
    default: 'stream',
    env: 'MIRRORFACE_DELIVERY',
  },
  accelPrefix: {
    description: 'Path of the internal location by which nginx serves the directory',
    schema: z.string().regex(/^(?:\/[A-Za-z0-9._-]+)+$/, 'expected a path such as /mirrorface-files'),
    default: '/mirrorface-files',
    env: 'MIRRORFACE_ACCEL_PREFIX',
  },
  storages: {
    description:
      'Storages in the order in which they are asked, each `{plugin, …options}`; instead of `localDirectory`',
    schema: z.array(pluginSchema).min(1),
  },
  upstreamUrl: {
    description: 'The Hub that answers for what is not mirrored',
    schema: z.url({ protocol: /^https?$/ }),
    default: 'https://huggingface.co',
    env: 'MIRRORFACE_UPSTREAM_URL',
  },
  upstreams: {
    description: 'Upstreams in the order in which they are asked, each `{plugin, …options}`; instead of `upstreamUrl`',
    schema: z.array(pluginSchema),
  },
  upstreamToken: {
    description: 'A service token that is sent to the Hub for every client, in place of its own',
    schema: z.string().min(1),
    env: 'MIRRORFACE_UPSTREAM_TOKEN',
    secret: true,
  },
  redirects: {
    description:
      "`pass`: clients fetch from the Hub's CDN themselves; `follow`: the mirror does, for closed networks, and takes Xet off answers",
    schema: z.enum(['pass', 'follow']),
    default: 'pass',
    env: 'MIRRORFACE_REDIRECTS',
  },
  followHosts: {
    description: "Hosts, as globs, to which `redirects: follow` may go; otherwise those of the Hub's CDN",
    schema: listSchema,
    list: true,
    env: 'MIRRORFACE_FOLLOW_HOSTS',
  },
  pullThrough: {
    description: 'Keep in the storage what clients download from the Hub; otherwise the server only reads',
    schema: flagSchema,
    default: false,
    env: 'MIRRORFACE_PULL_THROUGH',
  },
  spoolDirectory: {
    description: 'Directory for downloads of `pullThrough` that are under way',
    schema: z.string().min(1),
    default: join(tmpdir(), 'mirrorface-spool'),
    env: 'MIRRORFACE_SPOOL_DIRECTORY',
  },
  spoolLimit: {
    description:
      'Bytes of downloads that a worker may have under way there; beyond it, or when the disk is full, the Hub answers; otherwise only the free space counts',
    schema: bytesSchema,
    env: 'MIRRORFACE_SPOOL_LIMIT',
  },
  allow: {
    description: 'Repositories that are answered, as globs (`org/*`, `datasets/org/*`); empty: all',
    schema: listSchema,
    list: true,
    default: [],
    env: 'MIRRORFACE_ALLOW',
  },
  deny: {
    description: 'Repositories that are refused, as globs; before `allow`',
    schema: listSchema,
    list: true,
    default: [],
    env: 'MIRRORFACE_DENY',
  },
  readOnly: {
    description: 'Refuse uploads and other changes to repositories at the Hub',
    schema: flagSchema,
    default: false,
    env: 'MIRRORFACE_READ_ONLY',
  },
  pickleFiles: {
    description:
      '`allow`, `refuse`, or `refuse-if-safetensors`: weights that run code when loaded (`*.bin`, `*.pt`, `*.pkl`, …)',
    schema: z.enum(['allow', 'refuse', 'refuse-if-safetensors']),
    default: 'allow',
    env: 'MIRRORFACE_PICKLE_FILES',
  },
  access: {
    description:
      'Who may read what is mirrored: `open`; `hub`: whom the Hub lets read it; `tokens`: who has one of `accessTokens`',
    schema: z.enum(['open', 'hub', 'tokens']),
    default: 'open',
    env: 'MIRRORFACE_ACCESS',
  },
  accessTokens: {
    description: 'Tokens of `access: tokens`, each `{token, repositories: [globs]}`',
    schema: z.array(z.strictObject({ token: z.string().min(8), repositories: z.array(z.string()).default(['**']) })),
    default: [],
    secret: true,
  },
  accessCacheFor: {
    description: "Milliseconds for which the Hub's word on a token is believed",
    schema: durationOrNoneSchema,
    default: 60_000,
    env: 'MIRRORFACE_ACCESS_CACHE_FOR',
  },
  accessGrace: {
    description: 'Milliseconds for which a token that the Hub accepted is accepted while the Hub is down',
    schema: durationOrNoneSchema,
    default: 24 * 3600 * 1000,
    env: 'MIRRORFACE_ACCESS_GRACE',
  },
  offline: {
    description: 'Ask no upstream: serve what is mirrored, and nothing else',
    schema: flagSchema,
    default: false,
    env: 'MIRRORFACE_OFFLINE',
  },
  prefix: {
    description: 'Path under which the Hub is served, as well as at the root',
    schema: z.string().regex(/^(?:\/[A-Za-z0-9._-]+)*$/, 'expected a path such as /mirror'),
    default: '/mirror',
    env: 'MIRRORFACE_PREFIX',
  },
  page: {
    description:
      'Show whoever asks what is mirrored, at `/`, and what was missed; where `access` is not `open`, not unless told to',
    schema: flagSchema,
    default: true,
    env: 'MIRRORFACE_PAGE',
  },
  publicUrl: {
    description: "The mirror's address as clients know it, without the prefix; otherwise taken from each request",
    schema: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
    env: 'MIRRORFACE_PUBLIC_URL',
  },
  trustedProxies: {
    description:
      'Addresses or networks of proxies whose `X-Forwarded-*` headers are believed; also `loopback`, `uniquelocal`',
    schema: listSchema,
    list: true,
    default: [],
    env: 'MIRRORFACE_TRUSTED_PROXIES',
  },
  logLevel: {
    description: `One of ${logLevels.join(', ')}`,
    schema: z.enum(logLevels),
    default: 'info',
    env: 'MIRRORFACE_LOG_LEVEL',
  },
  logFormat: {
    description: '`json`, `text`, or `auto`: text on a terminal',
    schema: z.enum(['auto', 'json', 'text']),
    default: 'auto',
    env: 'MIRRORFACE_LOG_FORMAT',
  },
  maxConnections: {
    description: 'Connections that a worker holds at a time; more are closed at once',
    schema: numberSchema.pipe(z.int().positive()),
    default: 20_000,
    env: 'MIRRORFACE_MAX_CONNECTIONS',
  },
  gracePeriod: {
    description: 'Milliseconds that running downloads get to end when the server is stopped',
    schema: durationOrNoneSchema,
    default: 30_000,
    env: 'MIRRORFACE_GRACE_PERIOD',
  },
  refreshAfter: {
    description: 'Milliseconds after which a moved branch or a new revision in storage is noticed',
    schema: durationSchema,
    default: 5_000,
    env: 'MIRRORFACE_REFRESH_AFTER',
  },
  storageTimeout: {
    description: 'Milliseconds that a storage may take to answer before the next one, or the upstream, is asked',
    schema: durationSchema,
    default: 10_000,
    env: 'MIRRORFACE_STORAGE_TIMEOUT',
  },
  manifestMemory: {
    description: 'Bytes of memory for manifests',
    schema: bytesSchema,
    default: 128 * 1024 * 1024,
    env: 'MIRRORFACE_MANIFEST_MEMORY',
  },
  sendfile: {
    description: 'Let the kernel copy files to clients, where it can (Linux); otherwise bytes pass through memory',
    schema: flagSchema,
    default: true,
    env: 'MIRRORFACE_SENDFILE',
  },
  deliveryMemory: {
    description: 'Bytes of memory for buffers of downloads',
    schema: bytesSchema,
    default: 48 * 1024 * 1024,
    env: 'MIRRORFACE_DELIVERY_MEMORY',
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof settings

export interface PluginReference {
  readonly plugin: string
  readonly [option: string]: unknown
}

type Optional =
  | 'storages'
  | 'upstreams'
  | 'publicUrl'
  | 'gcsBucket'
  | 'gcsEndpoint'
  | 'gcsMount'
  | 'upstreamToken'
  | 'followHosts'
  | 'spoolLimit'

/** The effective configuration. */
export type Config = {
  readonly [Name in Exclude<SettingName, Optional>]: z.output<(typeof settings)[Name]['schema']>
} & {
  readonly storages: readonly PluginReference[]
  readonly upstreams: readonly PluginReference[]
  readonly publicUrl: string | undefined
  readonly gcsBucket: string | undefined
  readonly upstreamToken: string | undefined
  readonly followHosts: readonly string[] | undefined
  readonly spoolLimit: number | undefined
  readonly gcsEndpoint: string | undefined
  readonly gcsMount: string | undefined
}
