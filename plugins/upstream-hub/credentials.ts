import { createHash } from 'node:crypto'

/** What a request is authorised with at the upstream. */
export interface Credentials {
  readonly kind: 'none' | 'client' | 'service'
  readonly headers: Readonly<Record<string, string>>
  /** Tells credentials apart without keeping them: what belongs to one client is never another's. */
  readonly digest: string
}

export const noCredentials: Credentials = { kind: 'none', headers: {}, digest: 'anonymous' }

export function credentialsOf(kind: 'client' | 'service', token: string): Credentials {
  return {
    kind,
    headers: { authorization: `Bearer ${token}` },
    digest: createHash('sha256').update(token).digest('base64url'),
  }
}
