import { z } from 'zod'
import { numberSchema, portSchema, type Setting } from './setting.ts'

/** Where the server listens. */
export const listeningSettings = {
  host: { description: 'Address to listen on', schema: z.string().min(1), default: '0.0.0.0', env: 'MIRRORFACE_HOST' },
  port: { description: 'Port to listen on', schema: portSchema, default: 8000, env: 'MIRRORFACE_PORT' },
  metricsPort: {
    description: 'Port of the Prometheus metrics (`/metrics`)',
    schema: portSchema,
    default: 9000,
    env: 'MIRRORFACE_METRICS_PORT',
  },
  tlsCert: {
    description:
      'PEM file of the certificate, and of the intermediate ones, with which the server speaks HTTPS; read again when it changes',
    schema: z.string().min(1).optional(),
    env: 'MIRRORFACE_TLS_CERT',
  },
  tlsKey: {
    description: "PEM file of the certificate's private key",
    schema: z.string().min(1).optional(),
    env: 'MIRRORFACE_TLS_KEY',
  },
  workers: {
    description: 'Processes that answer: a number, or `auto` for one for each CPU',
    schema: z.union([z.literal('auto'), numberSchema.pipe(z.int().min(1).max(256))]),
    default: 1,
    env: 'MIRRORFACE_WORKERS',
  },
} as const satisfies Record<string, Setting>
