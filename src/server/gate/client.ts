/** A token that this mirror itself accepts, from the configuration. */
export interface AccessToken {
  /** For logs: never the token. */
  readonly name: string
  /** Globs of repositories that it opens. */
  readonly repositories: readonly string[]
  /** Whether it may write to the Hub through the mirror. */
  readonly write: boolean
  /** Whether a glob covers this repository, named as policies name it: `org/model`, `datasets/org/data`. */
  covers(repository: string): boolean
  /** Whether a glob covers repositories of this user or organization. */
  coversNamespace(namespace: string): boolean
  /** Whether it opens every repository: one of its globs is `**`. */
  readonly coversEverything: boolean
}

/** Who asks, and with what (docs/credentials.md). */
export type Client = ClientAddress &
  (
    | { readonly kind: 'none' }
    /** A token that the Hub may know. */
    | { readonly kind: 'hub'; readonly token: string }
    /** A token of this mirror's own; it never leaves the mirror. */
    | { readonly kind: 'own'; readonly accessToken: AccessToken }
    /** A credential that is neither: it counts as none, and is never sent on. */
    | { readonly kind: 'other' }
  )

interface ClientAddress {
  /** As far as trusted proxies vouch for it. */
  readonly address: string
}
