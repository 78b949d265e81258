import type { IncomingHttpHeaders } from 'node:http'
import type { Method, NamedRepository, Repository, RequestKind, Target } from '../../hub/index.ts'
import type { BodyReader, PluginLogger, RequestBody, Rights, Upstream, UpstreamTraits } from '../../plugin/index.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Admission, Capability, GateRequest } from './admission.ts'
import { Authority } from './authority.ts'
import type { Client } from './client.ts'
import { ClientLibraries } from './client-libraries.ts'
import { allowedOriginFor, type OriginPolicy } from './cross-origin.ts'
import { openCapability, sealCapability } from './follow-seal.ts'
import type { GateSettings } from './gate-settings.ts'
import { isExpectedHost } from './host-check.ts'
import { askHubAccess } from './hub-access.ts'
import { type IdentifyOptions, identify } from './identify.ts'
import { bodyReaderOf, type CheckedBody, checkBody } from './named-in-body.ts'
import { columnOf, refusalOf, views } from './passage.ts'
import { PicklePolicy } from './pickle-policy.ts'
import type { ReadableLibrary } from './readable-library.ts'
import { invalidBody, invalidCapability, passageFailure, readingCapability, unexpectedHost } from './refusals.ts'
import { nameOf } from './repository-globs.ts'
import { RepositoryPolicy } from './repository-policy.ts'
import { kindOf } from './request-kind.ts'
import type { Seals } from './seal.ts'
import { UpstreamCredentials } from './upstream-credentials.ts'
import { Verdicts } from './verdicts.ts'

export interface GateParts {
  readonly library: ReadableLibrary
  readonly upstreams: readonly Upstream[]
  readonly accessTokens: AccessTokens
  readonly seals: Seals
  readonly bodies: BodyReader
  /** Told at `debug` why a client does not see what is stored. */
  readonly logger: PluginLogger
}

/** The one place that decides who may do what, and with whose rights. It carries out the tables; they say what. */
export class Gate {
  readonly #settings: GateSettings
  readonly #libraries: ClientLibraries
  readonly #seals: Seals
  readonly #bodies: BodyReader
  readonly #identifyOptions: IdentifyOptions
  readonly #originPolicy: OriginPolicy
  readonly #credentials: UpstreamCredentials
  readonly #policy: RepositoryPolicy
  readonly #pickles: PicklePolicy
  readonly #verdicts: Verdicts | undefined
  /** Nearly every request comes with the same one. */
  #lastExpectedHost: string | undefined

  constructor(settings: GateSettings, { library, upstreams, accessTokens, seals, bodies, logger }: GateParts) {
    this.#settings = settings
    this.#seals = seals
    this.#bodies = bodies
    this.#identifyOptions = {
      accessTokens,
      clientTokenPatterns: upstreams.map(({ traits }) => traits.clientTokenPattern),
    }
    this.#credentials = new UpstreamCredentials(settings.access, upstreams)
    this.#originPolicy = { ...settings, hasServiceToken: this.#credentials.anyServiceToken }
    this.#policy = new RepositoryPolicy(settings.allow, settings.deny)
    const upstream = this.#credentials.authority
    const authority = upstream === undefined ? undefined : new Authority(upstream, settings.questionHeaders)
    this.#pickles = new PicklePolicy(settings.pickleFiles, authority)
    // They set aside megabytes, and are asked for in one mode only.
    const isAsked = views[settings.access] === 'verdict'
    this.#verdicts = authority === undefined || !isAsked ? undefined : this.#askingAt(authority)
    this.#libraries = new ClientLibraries({
      settings,
      library,
      policy: this.#policy,
      verdicts: this.#verdicts,
      logger,
    })
  }

  identify(headers: IncomingHttpHeaders, address: string): Client {
    return identify(headers, address, this.#identifyOptions)
  }

  /**
   * Throws a 421 where the request is for another host than the public URL's. To be called before anything is answered,
   * kept replies included, except for `/health` and `/ready`.
   */
  assertHost(host: string | undefined): void {
    const { publicUrl, access } = this.#settings
    if (publicUrl === undefined || (access === 'open' && !this.#credentials.anyServiceToken)) return
    if (host === this.#lastExpectedHost) return
    if (!isExpectedHost(host, publicUrl)) throw unexpectedHost(host ?? '', publicUrl)
    this.#lastExpectedHost = host
  }

  /** `Access-Control-Allow-Origin` of requests that never come to {@link admit}: preflights, failures. */
  allowedOrigin(method: Method, target: Target, origin: string | undefined): string | undefined {
    return allowedOriginFor(kindOf(method, target, this.#settings), origin, this.#originPolicy)
  }

  /**
   * Seals a URL at an upstream into a path below the mirror's root; `undefined`: the target names no repository. It is good
   * for uploads where the request was one.
   */
  sealFor(target: Target, kind: RequestKind, upstream: UpstreamTraits): ((url: string) => string) | undefined {
    if (!('repository' in target)) return undefined
    const { repository } = target
    const mayChange = changes(kind)
    return (url) => `/-/follow/${sealCapability(this.#seals, { url, repository, upstream: upstream.name, mayChange })}`
  }

  /** Rejects with a `Failure` that says why the request may not pass. */
  async admit(request: GateRequest): Promise<Admission> {
    const { method, target } = request
    const { page } = this.#settings
    // An orchestrator's probes know the server by its address or a name of its own.
    if (target.operation !== 'health' && target.operation !== 'ready') this.assertHost(request.host)
    // What an LFS batch is for stands in its body, which is not read for clients that may not even download.
    const kind = kindOf(method, target, { page, lfsOperation: 'download' })
    if (kind === 'own') return this.#admission(request, kind, request.body)
    if (target.operation === 'follow')
      return this.#admission(request, kind, request.body, this.#openCapability(target.seal, method))
    this.#assertPassage(request, kind, undefined)
    this.#policy.assertTarget(target, bodyReaderOf(method, target) !== undefined)
    const checked = await this.#checkedBody(request)
    if (checked === undefined) return await this.#admitReading(request, this.#admission(request, kind, request.body))
    const checkedKind = kindOf(method, target, { page, lfsOperation: checked.lfs?.operation })
    this.#assertPassage(request, checkedKind, checked.repositories)
    this.#policy.assertNamed(checked.repositories)
    const admission = this.#admission(request, checkedKind, checked.body)
    return checkedKind === 'write' ? admission : await this.#admitReading(request, admission, checked.lfs?.oids)
  }

  async #admitReading(
    { target, client }: GateRequest,
    admission: Admission,
    oids?: readonly string[],
  ): Promise<Admission> {
    if (!this.#pickles.isInForce) return admission
    const rights = this.#credentials.atAuthority(admission.kind, client)
    await this.#pickles.assertTarget(target, { library: admission.library, rights, oids })
    return admission
  }

  /** @param inBody `undefined` where the body, if it names repositories, was not read yet */
  #assertPassage(
    { method, target, client }: GateRequest,
    kind: RequestKind,
    inBody: readonly NamedRepository[] | undefined,
  ): void {
    if (kind === 'own' || kind === 'capability') return
    const named = [...target.readings, ...(inBody ?? [])].map(nameOf)
    const isNamedLater = inBody === undefined && bodyReaderOf(method, target) !== undefined
    const refusal = refusalOf({
      access: this.#settings.access,
      kind,
      method,
      operation: target.operation,
      column: columnOf(client),
      readOnly: this.#settings.readOnly,
      ...(client.kind === 'own' && {
        token: {
          write: client.accessToken.write,
          coversNamed: named.length === 0 ? isNamedLater : named.every((name) => client.accessToken.covers(name)),
          coversEverything: client.accessToken.coversEverything,
          coversNamespace: target.operation === 'overview' && client.accessToken.coversNamespace(target.namespace),
        },
      }),
    })
    if (refusal !== undefined) throw passageFailure(refusal, named.join(', ') || target.pathname)
  }

  /** `undefined` where the body says nothing that is decided by, and is passed on as it comes. */
  async #checkedBody(request: GateRequest): Promise<CheckedBody | undefined> {
    const { method, target, body, signal } = request
    const read = bodyReaderOf(method, target)
    const isDecisive = this.#settings.access === 'tokens' || this.#policy.isInForce
    if (read === undefined || !(isDecisive || target.operation === 'lfs-batch')) return undefined
    if (body === undefined) throw invalidBody('there is none')
    return checkBody(await this.#bodies.read(body, signal), request, read)
  }

  #openCapability(seal: string, method: Method): Capability {
    const capability = openCapability(this.#seals, seal)
    if (capability === undefined) throw invalidCapability()
    if (method !== 'GET' && method !== 'HEAD') {
      if (!capability.mayChange) throw readingCapability()
      if (this.#settings.readOnly) throw passageFailure('read-only', nameOf(capability.repository))
    }
    this.#policy.assertNamed([capability.repository])
    return capability
  }

  #admission(
    { id, client, origin }: GateRequest,
    kind: RequestKind,
    body: RequestBody | undefined,
    capability?: Capability,
  ): Admission {
    return {
      kind,
      library: kind === 'own' ? this.#libraries.anonymous : this.#libraries.of(client, id),
      body,
      rightsAt: (traits) => this.#credentials.rightsAt(traits, kind, client),
      pullRightsFor: async (repository) => await this.#pullRights(kind, client, repository),
      isPublic: kind === 'read' && this.#settings.access === 'open',
      allowedOrigin: allowedOriginFor(kind, origin, this.#originPolicy),
      capability,
    }
  }

  async #pullRights(kind: RequestKind, client: Client, repository: Repository): Promise<Rights | undefined> {
    const rights = this.#credentials.pullRights(kind, client)
    if (rights === undefined || views[this.#settings.access] !== 'verdict') return rights
    return (await this.#verdicts?.mayRead(repository, client, undefined)) === true ? rights : undefined
  }

  #askingAt(authority: Authority): Verdicts {
    return new Verdicts(
      async (repository, client) =>
        await askHubAccess(authority, repository, this.#credentials.forQuestions(client), (renamed) =>
          this.#policy.serves(renamed),
        ),
      { cacheFor: this.#settings.accessCacheFor, grace: this.#settings.accessGrace },
    )
  }
}

/** Whether what the Hub tells of where to go next may be for uploads. */
function changes(kind: RequestKind): boolean {
  return kind === 'write' || kind === 'account'
}
