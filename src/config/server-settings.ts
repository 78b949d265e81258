import { z } from 'zod'
import { logLevels } from '../telemetry/log-levels.ts'
import { bytesSchema, durationOrNoneSchema, durationSchema, flagSchema, numberSchema, type Setting } from './setting.ts'

/** How the server runs: prefix, logs, limits. */
export const serverSettings = {
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
  sendTimeout: {
    description: 'Milliseconds after which a client that takes none of a reply is disconnected; 0: never',
    schema: durationOrNoneSchema,
    default: 60_000,
    env: 'MIRRORFACE_SEND_TIMEOUT',
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
