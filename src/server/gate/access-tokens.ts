import { createHash, timingSafeEqual } from 'node:crypto'
import type { AccessToken } from './client.ts'
import { RepositoryGlobs } from './repository-globs.ts'

/** An entry of the setting `accessTokens`. */
export interface ConfiguredToken {
  readonly token: string
  readonly name?: string | undefined
  readonly repositories: readonly string[]
  readonly write?: boolean | undefined
}

/** The tokens that this mirror itself accepts. Only their digests are kept. */
export class AccessTokens {
  readonly #known: readonly { readonly digest: Buffer; readonly accessToken: AccessToken }[]

  constructor(configured: readonly ConfiguredToken[]) {
    this.#known = merge(configured).map((entry, index) => ({
      digest: digestOf(entry.token),
      accessToken: accessTokenOf(entry, index),
    }))
  }

  /** Compares with every token in constant time, so that nothing is learnt from how long it takes. */
  find(token: string): AccessToken | undefined {
    if (this.#known.length === 0) return undefined
    const digest = digestOf(token)
    let found: AccessToken | undefined
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.accessToken
    return found
  }
}

/** A token that is listed twice opens what both entries open, and writes only if both may. */
function merge(configured: readonly ConfiguredToken[]): ConfiguredToken[] {
  const byToken = new Map<string, ConfiguredToken>()
  for (const entry of configured) {
    const former = byToken.get(entry.token)
    byToken.set(entry.token, {
      token: entry.token,
      name: former?.name ?? entry.name,
      repositories: [...(former?.repositories ?? []), ...entry.repositories],
      write: entry.write === true && (former?.write ?? true),
    })
  }
  return [...byToken.values()]
}

function accessTokenOf({ name, repositories, write }: ConfiguredToken, index: number): AccessToken {
  const globs = new RepositoryGlobs(repositories)
  return {
    name: name ?? `access token ${index + 1}`,
    repositories,
    write: write === true,
    covers: (repository) => globs.matches(repository),
    coversNamespace: (namespace) => globs.matchesNamespace(namespace),
    coversEverything: globs.matchesEverything,
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
