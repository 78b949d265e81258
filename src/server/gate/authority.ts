import { createHash, randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { Failure, formatTarget, HubFailure, type Repository, type Target } from '../../hub/index.ts'
import type { Rights, Upstream, UpstreamAnswer } from '../../plugin/index.ts'

export interface AuthorityAnswer {
  readonly status: number
  /** `undefined` where the body is not JSON. */
  readonly json: unknown
  readonly errorCode: string | undefined
  readonly errorMessage: string | undefined
  /** Where a redirect leads; those to another repository are not followed (docs/credentials.md). */
  readonly location: string | undefined
}

/** The authority gave no answer that decides anything. */
export class AuthorityUnavailable extends Failure {
  constructor(reason: string, options?: ErrorOptions) {
    super('AuthorityUnavailable', 503, reason, options)
  }
}

/** It answered 429, or waits because it did: not silent, but unwilling to answer whoever asks. */
export class AuthorityLimits extends AuthorityUnavailable {}

/** What the files of a revision decide. */
export interface Listing {
  readonly hasSafetensors: boolean
  /** Paths of large files by the SHA-256 of their content. */
  readonly byContent: ReadonlyMap<string, readonly string[]>
}

/** Milliseconds that a question may take; clients themselves give up after ten seconds. */
const questionTimeout = 5_000

/** Bytes of an answer: the info of a repository with 100,000 files takes some 20 MB. */
const largestAnswer = 32 * 1024 * 1024

/** Milliseconds for which a listing is believed, and the characters of paths that are kept. */
const listingFor = 60_000
const listingMemory = 16 * 1024 * 1024

const siblingsSchema = z.object({
  siblings: z.array(z.object({ rfilename: z.string(), lfs: z.object({ sha256: z.string() }).nullish() })),
})

/** Asks the authority upstream on the gate's own behalf, by the transport that everything else takes. */
export class Authority {
  readonly upstream: Upstream
  readonly #headers: Readonly<Record<string, string>>
  readonly #listings: LRUCache<string, Listing>
  readonly #asking = new Map<string, Promise<Listing>>()

  /** @param headers what goes with every question: `via`, so that loops are noticed */
  constructor(upstream: Upstream, headers: Readonly<Record<string, string>>) {
    this.upstream = upstream
    this.#headers = { ...headers, accept: 'application/json' }
    this.#listings = new LRUCache({ maxSize: listingMemory, sizeCalculation: sizeOf, ttl: listingFor })
  }

  /** Rejects with {@link AuthorityUnavailable} where it declines, is overloaded (429) or fails (5xx). */
  async ask(target: Target, rights: Rights): Promise<AuthorityAnswer> {
    const signal = AbortSignal.timeout(questionTimeout)
    let answer: Awaited<ReturnType<Upstream['ask']>>
    try {
      answer = await this.upstream.ask({
        id: randomUUID(),
        method: 'GET',
        target,
        headers: this.#headers,
        rights,
        body: undefined,
        purpose: 'mirror',
        publicUrl: '',
        signal,
      })
    } catch (cause) {
      throw new AuthorityUnavailable(signal.aborted ? 'the Hub did not answer in time' : 'the Hub cannot be asked', {
        cause,
      })
    }
    if (answer.kind === 'declined') {
      const Reason = answer.status === 429 ? AuthorityLimits : AuthorityUnavailable
      throw new Reason(answer.reason, { cause: answer.cause })
    }
    const bytes = await readAnswer(answer)
    if (answer.status === 429) throw new AuthorityLimits('the Hub answered 429')
    if (answer.status >= 500) throw new AuthorityUnavailable(`the Hub answered ${answer.status}`)
    return {
      status: answer.status,
      json: parseJson(bytes),
      errorCode: headerOf(answer, 'x-error-code'),
      errorMessage: headerOf(answer, 'x-error-message'),
      location: headerOf(answer, 'location'),
    }
  }

  /**
   * What a revision's files decide. Rejects with {@link AuthorityUnavailable}, or with the Hub's own refusal where these
   * rights do not suffice to see the revision.
   */
  async listing(repository: Repository, revision: string, rights: Rights): Promise<Listing> {
    const name = `${repository.type} ${repository.id.toLowerCase()} ${revision} ${keyOf(rights)}`
    const kept = this.#listings.get(name)
    if (kept !== undefined) return kept
    let asking = this.#asking.get(name)
    if (asking === undefined) {
      asking = this.#askListing(repository, revision, rights).finally(() => this.#asking.delete(name))
      this.#asking.set(name, asking)
    }
    const listing = await asking
    this.#listings.set(name, listing)
    return listing
  }

  async #askListing(repository: Repository, revision: string, rights: Rights): Promise<Listing> {
    const { status, json, errorCode, errorMessage } = await this.ask(
      formatTarget({ operation: 'info', repository, revision }, 'blobs=true'),
      rights,
    )
    if (status >= 400)
      throw new HubFailure(errorCode ?? 'RepoNotFound', status, errorMessage ?? `The Hub answered ${status}.`)
    const info = siblingsSchema.safeParse(json)
    if (!info.success) throw new AuthorityUnavailable('the Hub did not list the files', { cause: info.error })
    return listingOf(info.data.siblings.map(({ rfilename, lfs }) => [rfilename, lfs?.sha256] as const))
  }
}

export function listingOf(files: Iterable<readonly [path: string, sha256: string | undefined]>): Listing {
  let hasSafetensors = false
  const byContent = new Map<string, string[]>()
  for (const [path, sha256] of files) {
    hasSafetensors ||= path.toLowerCase().endsWith('.safetensors')
    if (sha256 === undefined) continue
    const paths = byContent.get(sha256)
    if (paths === undefined) byContent.set(sha256, [path])
    else paths.push(path)
  }
  return { hasSafetensors, byContent }
}

/** Listings are not shared between credentials. */
function keyOf(rights: Rights): string {
  const token = rights.use === 'client' ? rights.token : rights.use === 'service' ? rights.otherwise : undefined
  return `${rights.use} ${token === undefined ? '' : createHash('sha256').update(token).digest('base64')}`
}

function sizeOf({ byContent }: Listing): number {
  let size = 256
  for (const paths of byContent.values()) size += 128 + paths.join('').length
  return size
}

async function readAnswer({ body }: UpstreamAnswer): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength
      if (size > largestAnswer) throw new Error(`its answer is larger than ${largestAnswer} bytes`)
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new AuthorityUnavailable('the Hub did not answer to its end', { cause })
  }
  return Buffer.concat(chunks)
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined // an error page: its status says enough
  }
}

function headerOf({ headers }: UpstreamAnswer, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1]
}
