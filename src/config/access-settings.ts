import { z } from 'zod'
import {
  accessTokenSchema,
  durationOrNoneSchema,
  flagSchema,
  listSchema,
  originSchema,
  type Setting,
  sealSecretSchema,
} from './setting.ts'

/** Who may do what: docs/credentials.md. */
export const accessSettings = {
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
    description:
      'Tokens of `access: tokens`, each `{token, name, repositories: [globs], write}`; without `write: true` they only read',
    schema: z.array(accessTokenSchema),
    default: [],
    secret: true,
  },
  accessCacheFor: {
    description: "Milliseconds for which the Hub's verdict on a token is cached",
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
  serveNonPublic: {
    description:
      'With `access: open`: serve mirrored repositories that are private or gated at the Hub to everybody who reaches this server',
    schema: flagSchema,
    default: false,
    env: 'MIRRORFACE_SERVE_NON_PUBLIC',
  },
  publicUrl: {
    description:
      "The mirror's address as clients know it, without the prefix; otherwise taken from each request. Where `access` is not `open`, or with a service token, requests for other host names are refused",
    schema: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
    env: 'MIRRORFACE_PUBLIC_URL',
  },
  corsOrigins: {
    description:
      'Origins of web pages, such as `https://app.example.com`, that may use this server; with `access: open`, and neither a service token nor `serveNonPublic`, every page may read',
    schema: listSchema.pipe(z.array(originSchema)),
    list: true,
    default: [],
    env: 'MIRRORFACE_CORS_ORIGINS',
  },
  sealSecrets: {
    description:
      'Secrets of at least 32 characters that seal the addresses handed to clients: the first one seals, all are accepted. Several replicas need the same ones; otherwise each makes its own when it starts',
    schema: listSchema.pipe(z.array(sealSecretSchema)),
    list: true,
    default: [],
    env: 'MIRRORFACE_SEAL_SECRETS',
    secret: true,
  },
  trustedProxies: {
    description:
      'Addresses or networks of proxies whose `X-Forwarded-*` headers are believed; also `loopback`, `uniquelocal`',
    schema: listSchema,
    list: true,
    default: [],
    env: 'MIRRORFACE_TRUSTED_PROXIES',
  },
} as const satisfies Record<string, Setting>
