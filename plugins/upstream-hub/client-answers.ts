import { discard, formatTarget, ReadingBudget, type UpstreamRequest } from 'mirrorface/plugin'
import type { CachedAnswer, WholeAnswer } from './cache/cached-answer.ts'
import type { Credentials } from './credentials.ts'
import { type HubUpstreamOptions, removesXet } from './options.ts'
import { isReadableJson, largestRewritten, readJson, rewriteJson } from './rewrite/json-answer.ts'
import { type LfsAction, rewriteLfsBatch } from './rewrite/lfs-batch.ts'
import type { MirrorUrls } from './rewrite/mirror-urls.ts'
import { withoutXetHeaders, withoutXetJson } from './rewrite/xet.ts'

/** Routes of a repository that give file content, whatever its type. */
const contentRoutes: ReadonlySet<string> = new Set(['resolve', 'raw', 'blob', 'resolve-cache'])
/** Requests with a body whose answers name nothing that was made. */
const notWriting: ReadonlySet<string> = new Set([
  'paths-info',
  'validate-yaml',
  'telemetry',
  'git-upload-pack',
  'git-receive-pack',
])

/** Makes of the upstream's answers what clients of this mirror can use. */
export class ClientAnswers {
  readonly #urls: MirrorUrls
  readonly #follows: boolean
  readonly #removesXet: boolean
  /** Four of the largest at a time. */
  readonly #budget = new ReadingBudget(4 * largestRewritten)

  constructor(urls: MirrorUrls, options: HubUpstreamOptions) {
    this.#urls = urls
    this.#follows = options.redirects === 'follow'
    this.#removesXet = removesXet(options)
  }

  /** An answer that the cache has not given its form yet. Rejects where it must not reach the client as it is. */
  async rewrite(request: UpstreamRequest, answer: CachedAnswer, credentials: Credentials): Promise<CachedAnswer> {
    if (request.target.operation === 'lfs-batch') return await this.#lfsBatch(request, answer, credentials)
    const plain = this.#removesXet ? { ...answer, headers: withoutXetHeaders(answer.headers) } : answer
    if (!isReadableJson(plain.headers)) return plain
    if (isWrite(request)) {
      const whole = await readJson(plain, this.#budget)
      return isWhole(whole) ? this.#withPublicUrls(request, whole) : whole
    }
    if (!this.#removesXet || !isMetadata(request)) return plain
    // What is too large is passed on with its Xet fields: a client that believes them is refused a token, and told why.
    const whole = await readJson(plain, this.#budget)
    return isWhole(whole) ? withoutXetJson(whole) : whole
  }

  async #lfsBatch(request: UpstreamRequest, answer: CachedAnswer, credentials: Credentials): Promise<CachedAnswer> {
    if (answer.status !== 200) return answer
    const whole = await readJson(answer, this.#budget)
    const rewritten = isWhole(whole)
      ? rewriteLfsBatch(whole, {
          toClient: (url) => this.#toClient(request, url),
          toObject: (oid, size, action) => this.#toObject(request, credentials, { oid, size, action }),
          isServices: credentials.kind === 'service',
        })
      : undefined
    if (rewritten !== undefined) return rewritten
    // It may carry the service's own authorization.
    if (!(whole.body instanceof Uint8Array)) discard(whole.body)
    throw new Error('its answer to an LFS batch is too large, or not understood')
  }

  #toClient(request: UpstreamRequest, url: string): string {
    const mirrored = this.#urls.toPublic(url, request.target.canonical, request.publicUrl)
    if (mirrored !== url || !this.#follows || request.seal === undefined || !URL.canParse(url)) return mirrored
    return request.publicUrl + request.seal(url)
  }

  /** LFS objects whose download needs headers that are the service's, or that no sealed URL carries, are given here. */
  #toObject(
    { target, publicUrl }: UpstreamRequest,
    { kind }: Credentials,
    { oid, size, action }: { oid: string; size: number; action: LfsAction },
  ): string | undefined {
    const names = Object.keys(action.header ?? {}).map((name) => name.toLowerCase())
    const mirrored = this.#urls.toMirror(action.href, target.canonical)
    const needsHeaders = names.length > 0 && (this.#follows || (kind === 'service' && names.includes('authorization')))
    // An upstream that is a mirror itself gives it by a seal of its own, which this mirror's gate can't open.
    const isOfAnotherMirror = mirrored?.startsWith('/-/') === true
    const isNeeded = isOfAnotherMirror || (needsHeaders && mirrored?.startsWith('/') === false)
    if (!isNeeded || !/^[0-9a-f]{64}$/.test(oid)) return undefined
    if (!('repository' in target)) return undefined
    const { type, id } = target.repository
    if (type === 'kernel' || type === 'bucket') return undefined
    const object = formatTarget({ operation: 'lfs-object', repository: { type, id }, oid }, `size=${size}`)
    return publicUrl + object.canonical
  }

  /** Clients read the name of what they made from `url`, `commitUrl`, `pullRequestUrl`, and take it for a foreign one otherwise. */
  #withPublicUrls(request: UpstreamRequest, answer: WholeAnswer): CachedAnswer {
    return rewriteJson(answer, (key, value) =>
      /url$/i.test(key) && typeof value === 'string'
        ? this.#urls.toPublic(value, request.target.canonical, request.publicUrl)
        : value,
    )
  }
}

/** Whether it changes something at the upstream. */
export function isWrite({ method, target }: UpstreamRequest): boolean {
  return method !== 'GET' && method !== 'HEAD' && target.operation !== 'lfs-batch' && !notWriting.has(target.operation)
}

function isMetadata({ target }: UpstreamRequest): boolean {
  if (!target.pathname.startsWith('/api/') || target.operation === 'resolve-cache') return false
  return !('route' in target) || !contentRoutes.has(target.route)
}

function isWhole(answer: CachedAnswer): answer is WholeAnswer {
  return answer.body instanceof Uint8Array
}
