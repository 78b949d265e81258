import { Readable } from 'node:stream'
import {
  discard,
  type HeaderList,
  HubFailure,
  type PluginLogger,
  parseTarget,
  ReadingBudget,
  type Target,
  type UpstreamRequest,
} from 'mirrorface/plugin'
import { readBounded } from '../cache/bounded-body.ts'
import type { CachedAnswer, WholeAnswer } from '../cache/cached-answer.ts'
import type { Credentials } from '../credentials.ts'
import type { HubQuestions } from '../hub-questions.ts'
import type { HubUpstreamOptions } from '../options.ts'
import { endToEnd } from '../rewrite/answer-headers.ts'
import type { MirrorUrls } from '../rewrite/mirror-urls.ts'
import { drain, headerOf, isBodiless, isRedirect, lengthOf } from '../transport/answer.ts'
import type { Deadline } from '../transport/limits.ts'
import { ContentServer, contentHeaders } from './content-server.ts'
import { KnownRedirects } from './known-redirects.ts'
import { batchRequestFor, placeIn, redirectTo } from './lfs-object.ts'
import { RedirectFollower } from './redirect-follower.ts'
import { RedirectGuard } from './redirect-guard.ts'

const mostHops = 5

/** Which redirects this server follows, for whom. */
export class Following {
  readonly #questions: HubQuestions
  readonly #urls: MirrorUrls
  readonly #server: ContentServer
  readonly #follower: RedirectFollower
  readonly #known = new KnownRedirects()

  constructor(questions: HubQuestions, urls: MirrorUrls, options: HubUpstreamOptions, logger: PluginLogger) {
    this.#questions = questions
    this.#urls = urls
    const guard = new RedirectGuard({ ...options, allowsPlainHttp: options.url.startsWith('http:') })
    this.#server = new ContentServer(guard, options, options.retries)
    this.#follower = new RedirectFollower(this.#server, logger)
    if (usesEgressProxy()) {
      const message =
        'redirects are followed through a proxy, which resolves names itself: only names are checked, by followHosts'
      logger.info({ upstream: options.name }, message)
    }
  }

  /** For a client that can't reach the CDN: redirects to it are followed; one to the upstream is the client's. */
  async forClient(
    request: UpstreamRequest,
    answer: CachedAnswer,
    credentials: Credentials,
    deadline: Deadline,
  ): Promise<CachedAnswer> {
    const { method, headers, id, signal } = request
    if (this.#locationAway(answer, request.target) === undefined || (method !== 'GET' && method !== 'HEAD'))
      return answer
    release(answer)
    return await this.#follower.follow(answer, {
      ...{ id, method, headers, signal, deadline },
      locationOf: (all) => this.#away(all, request.target),
      askAgain: async (life) => await this.#questions.again(unconditional(request), credentials, deadline, life),
    })
  }

  /** For this server itself: redirects of the same repository are followed, wherever they lead. */
  async forMirror(given: UpstreamRequest, deadline: Deadline): Promise<CachedAnswer> {
    let request = given
    for (let hop = 0; hop < mostHops; hop++) {
      const known = this.#knownKey(request)
      const redirect = known === undefined ? undefined : this.#known.get(known)
      const { answer, credentials } =
        redirect === undefined
          ? await this.#questions.ask(request, deadline)
          : { answer: { status: 302, headers: redirect.headers, body: new Uint8Array() }, credentials: undefined }
      const away = this.#locationAway(answer, request.target)
      if (away !== undefined) {
        if (known !== undefined && redirect === undefined) this.#known.note(known, { headers: answer.headers }, away)
        return await this.#followForMirror(request, answer, credentials, deadline, known)
      }
      const next = this.#nextTarget(answer, request.target)
      if (next === undefined) return answer
      release(answer)
      request = { ...request, target: next }
    }
    throw new Error(`it redirects more than ${mostHops} times`)
  }

  /** A URL that a capability carries. */
  async sealed(request: UpstreamRequest, deadline: Deadline): Promise<CachedAnswer> {
    const { method, sealedUrl, id, signal, body } = request
    if (sealedUrl === undefined) throw new Error('a capability without its URL')
    if (method === 'GET' || method === 'HEAD') {
      return await this.#follower.follow(
        { headers: [['location', sealedUrl]] },
        {
          ...{ id, method, headers: request.headers, signal, deadline },
          locationOf: (headers) => headerOf(headers, 'location'),
          askAgain: async () => {
            throw new Error('the sealed URL has expired, or was revoked')
          },
        },
      )
    }
    const answer = await this.#server.pass(sealedUrl, {
      method,
      headers: contentHeaders(request.headers),
      body,
      deadline,
      signal,
    })
    const headers = endToEnd(answer.headers)
    if (!isBodiless(method, answer.status)) return { status: answer.status, headers, body: answer.body }
    drain(answer.body)
    return { status: answer.status, headers, body: new Uint8Array() }
  }

  /** An LFS object, wherever the Hub says that it is now. */
  async lfsObject(request: UpstreamRequest, target: Target<'lfs-object'>, deadline: Deadline): Promise<CachedAnswer> {
    const { method, headers, id, signal } = request
    if (method !== 'GET' && method !== 'HEAD')
      throw new HubFailure('MethodNotAllowed', 405, `${method} of an LFS object`)
    const batch = batchRequestFor(request, target)
    const asked = await this.#questions.ask(batch, deadline)
    const answer = await readWhole(asked.answer)
    if (answer.status !== 200) return answer
    const place = placeIn(answer, target.oid)
    const mirrored = this.#urls.toMirror(place.href, batch.target.canonical)
    if (mirrored?.startsWith('/') === true) {
      const next = { ...request, purpose: 'mirror', target: parseTarget(mirrored, '').target } as const
      return await this.forMirror(next, deadline)
    }
    return await this.#follower.follow(redirectTo(place, target), {
      ...{ id, method, headers, signal, deadline, contentHeaders: place.headers },
      locationOf: (all) => headerOf(all, 'location'),
      askAgain: async (life) => {
        const again = await this.#questions.again(batch, asked.credentials, deadline, life)
        const renewed = await readWhole({ ...again, headers: endToEnd(again.headers) })
        return {
          status: 302,
          headers: redirectTo(placeIn(renewed, target.oid), target).headers,
          body: Readable.from([]),
        }
      },
    })
  }

  async close(): Promise<void> {
    await this.#server.close()
  }

  async #followForMirror(
    request: UpstreamRequest,
    answer: CachedAnswer,
    credentials: Credentials | undefined,
    deadline: Deadline,
    known: string | undefined,
  ): Promise<CachedAnswer> {
    const { method, headers, id, signal, target } = request
    if (method !== 'GET' && method !== 'HEAD') return answer
    release(answer)
    return await this.#follower.follow(answer, {
      ...{ id, method, headers, signal, deadline },
      locationOf: (all) => this.#away(all, target),
      askAgain: async (life) => {
        if (known !== undefined) this.#known.forget(known)
        const asked = unconditional(request)
        const rights = credentials ?? (await this.#questions.ask(asked, deadline)).credentials
        return await this.#questions.again(asked, rights, deadline, life)
      },
    })
  }

  /** `undefined`: where its content is changes, or nobody else may know it. */
  #knownKey({ method, target, rights }: UpstreamRequest): string | undefined {
    const isPinned = target.operation === 'resolve' && /^[0-9a-f]{40}$/.test(target.revision)
    if (!isPinned || method !== 'GET') return undefined
    return `${target.canonical} ${this.#questions.rightsKey(rights)}`
  }

  /** The target of a redirect within the upstream, if it names the same repository (docs/credentials.md, "Policies see one spelling"). */
  #nextTarget(answer: CachedAnswer, target: Target): Target | undefined {
    const location = headerOf(answer.headers, 'location')
    if (!isRedirect(answer.status) || location === undefined || !('repository' in target)) return undefined
    const path = this.#urls.toMirror(location, target.canonical)
    if (path === undefined || !path.startsWith('/')) return undefined
    try {
      const next = parseTarget(path, '').target
      const isSame =
        'repository' in next &&
        next.repository.type === target.repository.type &&
        next.repository.id === target.repository.id
      return isSame ? next : undefined
    } catch {
      return undefined // no target of the Hub's: the caller gets the redirect
    }
  }

  #locationAway({ status, headers }: CachedAnswer, target: Target): string | undefined {
    return isRedirect(status) ? this.#away(headers, target) : undefined
  }

  #away(headers: HeaderList, target: Target): string | undefined {
    const location = headerOf(headers, 'location')
    const url = location === undefined ? undefined : this.#urls.toMirror(location, target.canonical)
    return url?.startsWith('/') === false ? url : undefined
  }
}

/** The upstream is asked for the place of the content, whatever range of it is wanted. */
function unconditional(request: UpstreamRequest): UpstreamRequest {
  const headers: Record<string, string> = { ...request.headers }
  for (const name of ['range', 'if-range', 'if-match', 'if-none-match']) delete headers[name]
  return { ...request, headers }
}

/** The largest answer to a batch of one object, in bytes. */
const largestBatch = 65_536

async function readWhole(answer: CachedAnswer): Promise<WholeAnswer> {
  const { body, headers } = answer
  if (body instanceof Uint8Array) return { ...answer, body }
  const read = await readBounded(body, lengthOf(headers), largestBatch, new ReadingBudget(largestBatch))
  if (read instanceof Uint8Array) return { ...answer, body: read }
  discard(read)
  throw new Error('its answer to an LFS batch is too large')
}

function release({ body }: CachedAnswer): void {
  if (!(body instanceof Uint8Array)) drain(body)
}

function usesEgressProxy(): boolean {
  return ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].some((name) => (process.env[name] ?? '') !== '')
}
