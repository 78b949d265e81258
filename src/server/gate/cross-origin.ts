import type { RequestKind } from '../../hub/index.ts'
import type { AccessMode } from './passage.ts'

export interface OriginPolicy {
  readonly access: AccessMode
  readonly hasServiceToken: boolean
  readonly serveNonPublic: boolean
  /** Origins of web pages, such as `https://app.example.com`, that may use this mirror. */
  readonly corsOrigins: readonly string[]
}

/**
 * `Access-Control-Allow-Origin` of an answer. `*` stands for what everybody may read from anywhere: a page of any origin
 * in a colleague's browser reaches this server with the rights of the network that it is in, and with no others.
 */
export function allowedOriginFor(
  kind: RequestKind,
  origin: string | undefined,
  { access, hasServiceToken, serveNonPublic, corsOrigins }: OriginPolicy,
): string | undefined {
  const isForEverybody = access === 'open' && !hasServiceToken && !serveNonPublic
  if (isForEverybody && (kind === 'read' || kind === 'list' || kind === 'capability')) return '*'
  if (origin === undefined) return undefined
  return corsOrigins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase()) ? origin : undefined
}
