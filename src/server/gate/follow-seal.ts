import { z } from 'zod'
import type { Capability } from './admission.ts'
import type { Seals } from './seal.ts'

/** Seconds for which a capability holds, and how much longer it is honoured: clocks of replicas differ. */
export const capabilityLifetime = 3600
export const capabilityLeeway = 60

const schema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  repository: z.strictObject({
    type: z.enum(['model', 'dataset', 'space', 'kernel', 'bucket']),
    id: z.string().min(1),
  }),
  upstream: z.string(),
  mayChange: z.boolean(),
  /** Seconds since the epoch. */
  expires: z.int(),
})

/** Seals what an upstream's plugin found; returns what stands behind `/-/follow/`. */
export function sealCapability(seals: Seals, capability: Capability, now: number = Date.now()): string {
  const { url, repository, upstream, mayChange } = capability
  const { type, id } = repository
  const expires = Math.floor(now / 1000) + capabilityLifetime
  return seals.seal('follow', JSON.stringify({ url, repository: { type, id }, upstream, mayChange, expires }))
}

/** `undefined` where it is none of ours, was altered, or has expired. */
export function openCapability(seals: Seals, seal: string, now: number = Date.now()): Capability | undefined {
  const text = seals.open('follow', seal)
  if (text === undefined) return undefined
  const { expires, ...capability } = schema.parse(JSON.parse(text))
  return now / 1000 > expires + capabilityLeeway ? undefined : capability
}
