import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Declined,
  type Exchange,
  type Forwarded,
  HubFailure,
  type PluginLogger,
  type Upstream,
  type UpstreamState,
  UsageFailure,
} from 'mirrorface/plugin'
import type { z } from 'zod'
import { dropHopByHop, type Rewrite } from './answer-headers.ts'
import { Deadline } from './deadline.ts'
import { DirectClient } from './direct-client.ts'
import { RedirectFollower } from './follow.ts'
import { ClientGone, credentialsOf, HubHealth } from './health.ts'
import { discard, type HubAnswer } from './hub-answer.ts'
import { HubProxy, hasNoBody } from './hub-proxy.ts'
import type { hubUpstreamOptions } from './index.ts'
import { type WholeAnswer, withMirrorUrls } from './json-answer.ts'
import { followedUrl, isLfsBatch, rewriteLfsBatch } from './lfs.ts'
import { MetadataCache } from './metadata-cache.ts'
import { relay, relayWhole } from './relay.ts'
import { withoutXetHeaders, withoutXetJson } from './xet.ts'

export type HubUpstreamOptions = z.infer<typeof hubUpstreamOptions>

/** The Hub, or anything that speaks its protocol, behind a transparent proxy. */
export class HubUpstream implements Upstream {
  readonly name: string
  readonly #options: HubUpstreamOptions
  readonly #logger: PluginLogger
  readonly #proxy: HubProxy
  readonly #client: DirectClient
  readonly #follower: RedirectFollower
  readonly #metadata: MetadataCache
  readonly #health: HubHealth
  readonly #origin: string
  readonly #basePath: string

  constructor(options: HubUpstreamOptions, logger: PluginLogger) {
    const url = new URL(options.url)
    if (url.search !== '' || url.hash !== '' || url.username !== '') {
      throw new UsageFailure('upstream plugin "hub": url: expected scheme, host and path only')
    }
    this.name = options.name
    this.#options = options
    this.#logger = logger
    this.#origin = url.origin
    this.#basePath = url.pathname.replace(/\/$/, '')
    this.#client = new DirectClient(options)
    this.#follower = new RedirectFollower(this.#client, this.#origin, options.followHosts, logger)
    this.#metadata = new MetadataCache({
      size: options.metadataMemory,
      freshFor: options.metadataFreshFor,
      staleIfError: options.staleIfError,
    })
    this.#health = new HubHealth(
      this.#origin,
      { failures: options.breakerFailures, halfOpenAfter: options.breakerPause },
      (state) => logger.warn({ upstream: this.name, state }, 'upstream breaker changed'),
    )
    this.#proxy = new HubProxy(url, options)
  }

  get state(): UpstreamState {
    return this.#health.state
  }

  async forward(exchange: Exchange): Promise<Forwarded | Declined> {
    const { request, response } = exchange
    const { method } = request
    response.setMaxListeners(32) // each attempt and each stage of a body listens for its end
    if ((method === 'DELETE' || method === 'OPTIONS') && request.headers['transfer-encoding'] !== undefined) {
      // The proxy would announce an empty body and then send one: a second request to the Hub.
      throw new HubFailure('LengthRequired', 411, `${method} with a body needs a Content-Length`)
    }
    const credentials = this.#prepare(request)
    if (MetadataCache.covers(exchange)) return await this.#forwardMetadata(exchange, credentials)
    const paused = this.#health.pauseOf(credentials)
    if (paused !== undefined) return paused
    const deadline = new Deadline(this.#options.totalTimeout)
    let answer: HubAnswer
    try {
      answer = await this.#answer(exchange, credentials, deadline)
    } catch (error) {
      if (error instanceof HubFailure) throw error
      return this.#health.decline(error)
    }
    if (isWrite(exchange)) this.#metadata.distrust()
    return await this.#relay(exchange, answer, deadline)
  }

  async ready(): Promise<void> {
    // By the breaker, which an answer closes.
    const answer = await this.#health.ask('anonymous', () =>
      this.#client.ask(this.#options.url, { method: 'HEAD', headers: {} }),
    )
    discard(answer)
  }

  async close(): Promise<void> {
    this.#proxy.close()
    await this.#client.close()
  }

  get #follows(): boolean {
    return this.#options.redirects === 'follow'
  }

  /** Makes a client's request one of ours; returns whose it is. */
  #prepare(request: IncomingMessage): string {
    dropHopByHop(request)
    // Answers are looked into where Xet must be taken off them, and where something was made.
    if (this.#follows || (request.method !== 'GET' && request.method !== 'HEAD'))
      request.headers['accept-encoding'] = 'identity'
    if (this.#options.token !== undefined) {
      request.headers.authorization = `Bearer ${this.#options.token}`
      delete request.headers.cookie
    }
    return credentialsOf(request.headers)
  }

  async #forwardMetadata(exchange: Exchange, credentials: string): Promise<Forwarded | Declined> {
    const { method, headers } = exchange.request
    const deadline = new Deadline(this.#options.totalTimeout)
    const key = `${method} ${exchange.target} ${credentials} ${headers['accept-encoding'] ?? ''} ${headers.accept ?? ''}`
    try {
      const { answer, stale } = await this.#metadata.answer(key, async (ifNoneMatch) => {
        if (this.#health.pauseOf(credentials) !== undefined) throw new Error('paused')
        const asked = await this.#health.ask(credentials, () =>
          this.#withRetries(exchange, true, deadline, () => this.#askDirectly(exchange, ifNoneMatch, deadline)),
        )
        return this.#follows ? await withoutXetJson({ ...asked, headers: withoutXetHeaders(asked.headers) }) : asked
      })
      if (stale) {
        this.#logger.warn(
          { request: exchange.id, upstream: this.name },
          'the Hub cannot be asked: a kept answer is given',
        )
        exchange.response.setHeader('Cache-Status', 'mirrorface; hit; detail=stale')
        exchange.response.setHeader('Age', Math.round((Date.now() - answer.at) / 1000))
      }
      const whole = { ...answer, reason: '', body: Readable.from([]) }
      if (this.#follows && this.#follower.leadsAway(whole)) {
        return await this.#relay(exchange, await this.#follower.follow(exchange, whole), deadline)
      }
      return relayWhole(exchange, whole, answer.body, this.#rewrite(exchange))
    } catch (error) {
      if (error instanceof HubFailure) throw error
      return this.#health.pauseOf(credentials) ?? this.#health.decline(error)
    }
  }

  /** The Hub's answer, changed as far as this upstream's options ask for it. */
  async #answer(exchange: Exchange, credentials: string, deadline: Deadline): Promise<HubAnswer | WholeAnswer> {
    const { method } = exchange.request
    const followed = this.#follows && (method === 'GET' || method === 'HEAD') ? followedUrl(exchange.target) : undefined
    if (followed !== undefined) {
      const location = ['Location', followed.href]
      return await this.#follower.follow(exchange, {
        status: 302,
        reason: '',
        headers: location,
        body: Readable.from([]),
      })
    }
    const answer = await this.#health.ask(credentials, () =>
      this.#withRetries(exchange, hasNoBody(exchange.request), deadline, () => this.#proxy.ask(exchange, deadline)),
    )
    if (isLfsBatch(method, exchange.target))
      return await rewriteLfsBatch(answer, this.#rewrite(exchange), this.#follows)
    if (isWrite(exchange)) return await withMirrorUrls(answer, this.#rewrite(exchange))
    if (!this.#follows) return answer
    if ((method === 'GET' || method === 'HEAD') && this.#follower.leadsAway(answer))
      return await this.#follower.follow(exchange, { ...answer, headers: withoutXetHeaders(answer.headers) })
    return await this.#withoutXet(exchange, answer)
  }

  async #withoutXet(exchange: Exchange, answer: HubAnswer): Promise<HubAnswer | WholeAnswer> {
    const plain = { ...answer, headers: withoutXetHeaders(answer.headers) }
    return exchange.target.startsWith('/api/') && exchange.hub.operation !== 'resolve-cache'
      ? await withoutXetJson(plain)
      : plain
  }

  #relay(exchange: Exchange, answer: HubAnswer | WholeAnswer, deadline: Deadline): Promise<Forwarded> | Forwarded {
    const rewrite = this.#rewrite(exchange)
    if ('json' in answer) return relayWhole(exchange, answer, answer.json, rewrite)
    return relay(exchange, answer, { rewrite, idleTimeout: this.#options.idleTimeout, deadline, logger: this.#logger })
  }

  #rewrite(exchange: Exchange): Rewrite {
    return { upstream: this.#origin + this.#basePath, mirror: exchange.publicUrl }
  }

  /** Once more where the connection failed before the answer's head, and asking twice does no harm. */
  async #withRetries(
    exchange: Exchange,
    mayRepeat: boolean,
    deadline: Deadline,
    ask: () => Promise<HubAnswer>,
  ): Promise<HubAnswer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask()
      } catch (error) {
        const isLast =
          !mayRepeat || attempt > this.#options.retries || exchange.signal.aborted || deadline.timeLeft <= 0
        if (isLast || error instanceof ClientGone) throw error
        await delay(50 * 2 ** attempt * (0.5 + Math.random()))
      }
    }
  }

  /** Many clients may wait for this answer, so it does not end with the one that asked first. */
  #askDirectly(
    { request, target }: Exchange,
    ifNoneMatch: string | undefined,
    { signal }: Deadline,
  ): Promise<HubAnswer> {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(request.headers)) {
      if (value !== undefined && name !== 'host' && name !== 'content-length') headers[name] = [value].flat().join(', ')
    }
    if (ifNoneMatch !== undefined) headers['if-none-match'] = ifNoneMatch
    const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
    return this.#client.ask(`${this.#origin}${this.#basePath}${target}`, {
      method,
      headers,
      ...(signal !== undefined && { signal }),
    })
  }
}

function isWrite({ request, hub, target }: Exchange): boolean {
  const { method } = request
  return method !== 'GET' && method !== 'HEAD' && hub.operation !== 'paths-info' && !isLfsBatch(method, target)
}
