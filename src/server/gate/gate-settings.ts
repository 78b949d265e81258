import type { AccessMode } from './passage.ts'
import type { PickleRule } from './pickle-policy.ts'

/** The settings by which the gate decides: docs/credentials.md. */
export interface GateSettings {
  readonly access: AccessMode
  /** Milliseconds for which the Hub's verdict is believed. */
  readonly accessCacheFor: number
  /** Milliseconds for which it is believed while the Hub does not answer. */
  readonly accessGrace: number
  readonly serveNonPublic: boolean
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly readOnly: boolean
  readonly pickleFiles: PickleRule
  /** Without the prefix. */
  readonly publicUrl: string | undefined
  readonly corsOrigins: readonly string[]
  /** Whether the page and the misses are shown. */
  readonly page: boolean
  /** Headers of the gate's own questions to the authority: `via`. */
  readonly questionHeaders: Readonly<Record<string, string>>
}
