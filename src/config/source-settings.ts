import { tmpdir } from 'node:os'
import { join } from 'node:path'
import envPaths from 'env-paths'
import { z } from 'zod'
import { bytesSchema, flagSchema, listSchema, pluginSchema, type Setting, storagesSchema } from './setting.ts'

/** Where repositories are kept if nobody says otherwise: the same for the server and every command. */
export const defaultDirectory = join(envPaths('mirrorface', { suffix: '' }).data, 'storage')

/** Where content comes from: storages and upstreams. */
export const sourceSettings = {
  storages: {
    description:
      'Storages by URL (`file:///directory`, `gs://bucket/prefix`, `gcs-mount:///directory`, `s3://bucket/prefix`, `az://account/container/prefix`), in the order in which they are asked; in a file also `{plugin, …options}`. Commands work on the first',
    schema: storagesSchema,
    env: 'MIRRORFACE_STORAGE',
    flag: 'storage',
  },
  localDirectory: {
    description: 'Directory that holds the mirrored repositories, made if missing: `file:` as a setting of its own',
    schema: z.string().min(1),
    default: defaultDirectory,
    env: 'MIRRORFACE_LOCAL_DIRECTORY',
  },
  gcsBucket: {
    description: '`gs:` as a setting of its own: `name[/prefix]` of a Google Cloud Storage bucket',
    schema: z.string().min(1),
    env: 'MIRRORFACE_GCS_BUCKET',
  },
  gcsEndpoint: {
    description: 'Another address of Google Cloud Storage: an emulator',
    schema: z.url({ protocol: /^https?$/ }),
    env: 'MIRRORFACE_GCS_ENDPOINT',
  },
  gcsMount: {
    description: '`gcs-mount:` as a setting of its own: where a bucket is mounted by GCS FUSE',
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
    description:
      'A service token for the Hub, with which clients read what their own rights do not open (see docs/credentials.md)',
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
  offline: {
    description: 'Ask no upstream: serve what is mirrored, and nothing else',
    schema: flagSchema,
    default: false,
    env: 'MIRRORFACE_OFFLINE',
  },
} as const satisfies Record<string, Setting>
