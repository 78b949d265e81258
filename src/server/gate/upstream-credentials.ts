import type { RequestKind } from '../../hub/index.ts'
import type { Rights, Upstream, UpstreamTraits } from '../../plugin/index.ts'
import type { Client } from './client.ts'
import { matches } from './identify.ts'
import { type AccessMode, columnOf } from './passage.ts'
import { pullRightsFor, rightsFor } from './upstream-rights.ts'

/** The upstream whose word counts for access, and from which is pulled: the one that says so, else the first. */
export function authorityOf<Of extends { readonly traits: UpstreamTraits }>(upstreams: readonly Of[]): Of | undefined {
  return (
    upstreams.find(({ traits }) => traits.authority === true) ??
    upstreams.find(({ traits }) => traits.authority !== false)
  )
}

/** Puts the facts of clients and upstreams to the table of rights. */
export class UpstreamCredentials {
  readonly authority: Upstream | undefined
  readonly anyServiceToken: boolean
  readonly #access: AccessMode

  constructor(access: AccessMode, upstreams: readonly Upstream[]) {
    this.#access = access
    this.authority = authorityOf(upstreams)
    this.anyServiceToken = upstreams.some(({ traits }) => traits.hasServiceToken)
  }

  rightsAt(traits: UpstreamTraits, kind: RequestKind, client: Client): Rights {
    return rightsFor({
      access: this.#access,
      kind,
      column: columnOf(client),
      clientToken: this.#tokenFor(traits, client),
      mayWrite: client.kind === 'own' && client.accessToken.write,
      hasServiceToken: traits.hasServiceToken,
      serviceWrites: traits.serviceWrites,
    })
  }

  /** Those that the authority is asked with for this client's request, or on its behalf. */
  atAuthority(kind: RequestKind, client: Client): Rights {
    return this.authority === undefined ? { use: 'none' } : this.rightsAt(this.authority.traits, kind, client)
  }

  /** `undefined` where nothing is pulled: no authority, or a request that does not read. */
  pullRights(kind: RequestKind, client: Client): Rights | undefined {
    if (kind !== 'read' || this.authority === undefined) return undefined
    const { traits } = this.authority
    return pullRightsFor({
      access: this.#access,
      column: columnOf(client),
      clientToken: this.#tokenFor(traits, client),
      hasServiceToken: traits.hasServiceToken,
    })
  }

  /** Whether the Hub lets a client read is asked with the client's own token, never with the service's. */
  forQuestions(client: Client): Rights {
    const token = this.authority === undefined ? undefined : this.#tokenFor(this.authority.traits, client)
    return token === undefined ? { use: 'none' } : { use: 'client', token }
  }

  #tokenFor(traits: UpstreamTraits, client: Client): string | undefined {
    if (client.kind !== 'hub' || !matches(traits.clientTokenPattern, client.token)) return undefined
    const isTaken = traits.clientTokens ?? traits === this.authority?.traits
    return isTaken ? client.token : undefined
  }
}
