import { randomUUID } from 'node:crypto'
import { discard, type PluginLogger, type Rights, type UpstreamRequest } from 'mirrorface/plugin'
import type { CachedAnswer } from './cache/cached-answer.ts'
import { type AnswerFrom, MetadataCache } from './cache/metadata-cache.ts'
import { unlessKnown } from './cache/not-modified.ts'
import type { QuestionKey } from './cache/question.ts'
import { type SharedHeaders, sharedHeaders } from './cache/shared-headers.ts'
import { carriesSecret } from './cache/signed-url.ts'
import { type Credentials, credentialsOf } from './credentials.ts'
import { type HubUpstreamOptions, removesXet } from './options.ts'
import { forwardedHeaders } from './request-headers.ts'
import { endToEnd } from './rewrite/answer-headers.ts'
import type { MirrorUrls } from './rewrite/mirror-urls.ts'
import { withoutXetHeaders, withoutXetJson } from './rewrite/xet.ts'
import { type Authorised, askWithRights } from './rights.ts'
import { drain, isBodiless, lengthOf, type WireAnswer } from './transport/answer.ts'
import { Deadline } from './transport/limits.ts'
import type { Transport } from './transport/transport.ts'

/** Metadata that many want at once. */
const shared: ReadonlySet<string> = new Set(['info', 'tree', 'treesize', 'refs', 'commits'])
/** Requests with a body that change nothing. */
const readingPosts: ReadonlySet<string> = new Set(['paths-info', 'validate-yaml'])
/** A shared question is this server's, whichever client was the first to want its answer. */
const ownAgent = 'mirrorface'

/** Puts requests to the upstream with the rights that the gate gave, through the cache where answers may be shared. */
export class HubQuestions {
  readonly #transport: Transport
  readonly #cache: MetadataCache
  readonly #service: Credentials | undefined
  readonly #removesXet: boolean
  readonly #totalTimeout: number | undefined
  readonly #onServiceRefused: () => void
  readonly #name: string
  readonly #logger: PluginLogger

  constructor(
    transport: Transport,
    urls: MirrorUrls,
    options: HubUpstreamOptions,
    { logger, onServiceRefused }: { readonly logger: PluginLogger; onServiceRefused(): void },
  ) {
    this.#name = options.name
    this.#logger = logger
    this.#transport = transport
    this.#service = options.token === undefined ? undefined : credentialsOf('service', options.token)
    this.#removesXet = removesXet(options)
    this.#totalTimeout = options.totalTimeout
    this.#onServiceRefused = onServiceRefused
    this.#cache = new MetadataCache((...asked) => this.#askShared(...asked), {
      size: options.metadataMemory,
      freshFor: options.metadataFreshFor,
      staleIfError: options.staleIfError,
      leadsAway: (url) => urls.leadsAway(url, '/'),
      prepare: (answer, form) =>
        form === 'plain' ? withoutXetJson({ ...answer, headers: withoutXetHeaders(answer.headers) }) : answer,
    })
  }

  /** The upstream's answer, redirects not followed, headers end-to-end. */
  async ask(request: UpstreamRequest, deadline: Deadline): Promise<Authorised<CachedAnswer>> {
    return await askWithRights<CachedAnswer>({
      rights: request.rights,
      service: this.#service,
      isRepeatable: request.body === undefined || request.body.bytes !== undefined,
      ask: async (credentials) => {
        const key = this.#keyOf(request, credentials)
        if (key === undefined) {
          const answer = await this.again(request, credentials, deadline, request.signal)
          this.#tell(request, credentials, 'asked', answer.status)
          return plain(request, answer)
        }
        // This server's own questions decide about access: how long an old answer is good is for the one who asks.
        const mayBeStale = request.purpose === 'client'
        const question = { key, mayBeStale, repository: repositoryOf(request) }
        const { answer, from } = await this.#cache.answer(question, request.signal)
        this.#tell(request, credentials, from, answer.status)
        return unlessKnown(request, answer)
      },
      drop,
      onServiceRefused: this.#onServiceRefused,
    })
  }

  /** Asks past the cache, with credentials that were found to be the right ones. */
  async again(
    request: UpstreamRequest,
    credentials: Credentials,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<WireAnswer> {
    const { method, target, body } = request
    const isSafe = method === 'GET' || method === 'HEAD'
    return await this.#transport.ask({
      method,
      target: target.canonical,
      path: target.pathname,
      headers: this.#headersOf(request),
      credentials,
      body,
      isRepeatable: body === undefined ? isSafe : body.bytes !== undefined && readingPosts.has(target.operation),
      isPassedOn: request.purpose === 'client' && this.#sharedHeadersOf(request) === undefined,
      deadline,
      signal,
    })
  }

  #tell(
    { id, method, target, purpose }: UpstreamRequest,
    { kind }: Credentials,
    from: AnswerFrom,
    status: number,
  ): void {
    // A path that opens something is nobody's to read.
    const path = target.operation === 'follow' ? '(sealed)' : target.pathname
    this.#logger.debug(
      { request: id, upstream: this.#name, method, path, purpose, as: kind, from, status },
      'upstream asked',
    )
  }

  /** Tells rights apart without keeping tokens. */
  rightsKey(rights: Rights): string {
    if (rights.use === 'client') return credentialsOf('client', rights.token).digest
    const otherwise = rights.use === 'service' && rights.otherwise !== undefined ? rights.otherwise : undefined
    return otherwise === undefined ? rights.use : `service ${credentialsOf('client', otherwise).digest}`
  }

  /** After a successful write: what is kept of the repository must be validated before it is used. */
  distrust(request: UpstreamRequest): void {
    this.#cache.distrust(repositoryOf(request))
  }

  /** Asks what a key says, and nothing else: no request of a client's is in reach here. */
  async #askShared(
    { method, target, path, headers, credentials }: QuestionKey,
    validator: string | undefined,
    signal: AbortSignal,
  ): Promise<WireAnswer> {
    const own = { 'user-agent': ownAgent, 'x-request-id': randomUUID() }
    return await this.#transport.ask({
      method,
      target,
      path,
      headers: { ...headers, ...own, ...(validator !== undefined && { 'if-none-match': validator }) },
      credentials,
      body: undefined,
      isRepeatable: true,
      isPassedOn: false,
      deadline: new Deadline(this.#totalTimeout),
      signal,
    })
  }

  /** `undefined`: the request goes by itself, and shares its answer with nobody. */
  #keyOf(request: UpstreamRequest, credentials: Credentials): QuestionKey | undefined {
    const headers = this.#sharedHeadersOf(request)
    if (headers === undefined) return undefined
    return {
      method: request.method === 'HEAD' ? 'HEAD' : 'GET',
      target: request.target.canonical,
      path: request.target.pathname,
      credentials,
      form: this.#removesXet && request.purpose === 'client' ? 'plain' : 'original',
      headers,
    }
  }

  #sharedHeadersOf(request: UpstreamRequest): SharedHeaders | undefined {
    const { method, target, body } = request
    const isMetadata =
      method === 'GET'
        ? shared.has(target.operation)
        : method === 'HEAD' && (target.operation === 'resolve' || target.operation === 'resolve-cache')
    if (!isMetadata || body !== undefined || carriesSecret(target.query)) return undefined
    return sharedHeaders(this.#headersOf(request))
  }

  #headersOf(request: UpstreamRequest): Readonly<Record<string, string>> {
    const headers = forwardedHeaders(request.headers, request.id)
    const isPassedOn = request.purpose === 'client' && !this.#removesXet
    const isSafe = request.method === 'GET' || request.method === 'HEAD'
    // Whatever may be looked into must come as it is.
    return isPassedOn && isSafe ? headers : { ...headers, 'accept-encoding': 'identity' }
  }
}

/** The repository in one spelling: names are found in any case. */
function repositoryOf({ target }: UpstreamRequest): string | undefined {
  return 'repository' in target ? `${target.repository.type} ${target.repository.id.toLowerCase()}` : undefined
}

function plain({ method }: UpstreamRequest, answer: WireAnswer): CachedAnswer {
  const { status, headers, body } = answer
  if (!isBodiless(method, status)) return { status, headers: endToEnd(headers), body }
  drain(body)
  return { status, headers: endToEnd(headers), body: new Uint8Array() }
}

/** Bodies of refusals are short: reading one costs less than another connection. */
function drop({ headers, body }: CachedAnswer): void {
  if (body instanceof Uint8Array) return
  if ((lengthOf(headers) ?? Number.POSITIVE_INFINITY) <= 65_536) drain(body)
  else discard(body)
}
