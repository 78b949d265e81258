import type { IncomingHttpHeaders } from 'node:http'
import type { AccessTokens } from './access-tokens.ts'
import type { Client } from './client.ts'

export interface IdentifyOptions {
  readonly accessTokens: AccessTokens
  /** `clientTokenPattern` of every upstream. */
  readonly clientTokenPatterns: readonly RegExp[]
}

/** What may stand in an `Authorization: Bearer` header (RFC 6750 §2.1): nothing that could end the header. */
const sendable = /^[A-Za-z0-9._~+/=-]+$/

/**
 * Who sent these headers. An own token is recognised whatever `access` is, so that it is never taken for the Hub's.
 * Cookies count for nothing.
 */
export function identify(headers: IncomingHttpHeaders, address: string, options: IdentifyOptions): Client {
  const { authorization } = headers
  if (authorization === undefined || authorization.trim() === '') return { kind: 'none', address }
  const candidates = tokensOf(authorization)
  for (const token of candidates) {
    const accessToken = options.accessTokens.find(token)
    if (accessToken !== undefined) return { kind: 'own', accessToken, address }
  }
  for (const token of candidates) {
    if (sendable.test(token) && options.clientTokenPatterns.some((pattern) => matches(pattern, token)))
      return { kind: 'hub', token, address }
  }
  return { kind: 'other', address }
}

/** A pattern with the flag `g` or `y` would remember where its last match ended. */
export function matches(pattern: RegExp, text: string): boolean {
  pattern.lastIndex = 0
  return pattern.test(text)
}

/** What may be a token in the header: git sends it as the password, or as the user. */
function tokensOf(authorization: string): readonly string[] {
  const text = authorization.trim()
  // Scheme and credentials are parted in two steps: one expression for both would look at each space anew for each space.
  const scheme = /^[A-Za-z0-9._~+-]+(?=[ \t])/.exec(text)?.[0] ?? ''
  const credentials = text.slice(scheme.length).replace(/^[ \t]+/, '')
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return [credentials]
    case 'basic': {
      const decoded = Buffer.from(credentials, 'base64').toString('utf8')
      const colon = decoded.indexOf(':')
      const parts = colon === -1 ? [decoded] : [decoded.slice(colon + 1), decoded.slice(0, colon)]
      return parts.filter((part) => part !== '')
    }
    default:
      return []
  }
}
