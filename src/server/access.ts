import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import picomatch from 'picomatch'
import { describeError, formatRepository, HubFailure, type Repository } from '../hub/index.ts'
import type { Library } from '../mirror/index.ts'

/** A token that this mirror itself accepts, and for which repositories. */
export interface AccessToken {
  readonly token: string
  readonly repositories: readonly string[]
}

export interface AccessOptions {
  readonly mode: 'open' | 'hub' | 'tokens'
  readonly tokens: readonly AccessToken[]
  /** Milliseconds for which the Hub's word is believed. */
  readonly cacheFor: number
  /** Milliseconds for which a token that the Hub accepted is accepted while the Hub is down. */
  readonly grace: number
}

/** Asks the Hub whether these credentials may read a repository. Rejects where it can't be asked. */
export type CheckAtHub = (repository: Repository, authorization: string | undefined) => Promise<HubVerdict>

export interface HubVerdict {
  readonly status: number
  readonly code: string | undefined
  readonly message: string
}

interface Known {
  readonly verdict: HubVerdict
  readonly at: number
}

/** The library as one client may see it. */
export type ReadableLibrary = Pick<Library, 'find' | 'refs' | 'has'>

/** Decides who may read what is mirrored. What is not mirrored, the Hub itself decides. */
export class Access {
  readonly #options: AccessOptions
  readonly #check: CheckAtHub
  readonly #verdicts = new LRUCache<string, Known>({ max: 50_000 })
  readonly #tokens: readonly { readonly digest: Buffer; readonly covers: (name: string) => boolean }[]

  constructor(options: AccessOptions, check: CheckAtHub) {
    this.#options = options
    this.#check = check
    this.#tokens = options.tokens.map(({ token, repositories }) => ({
      digest: digestOf(token),
      covers: picomatch([...repositories], { nocase: true }),
    }))
  }

  /** Whether clients' tokens are this mirror's own, and none of the Hub's business. */
  get ownsTokens(): boolean {
    return this.#options.mode === 'tokens'
  }

  /**
   * The library as a client with these credentials may see it: whatever is found in it rejects as
   * {@link assertMayRead} does where they don't suffice, so that nobody else learns of a repository's
   * commit, or which files it lacks.
   */
  limit(library: ReadableLibrary, authorization: string | undefined): ReadableLibrary {
    if (this.#options.mode === 'open') return library
    return {
      find: async (repository, revision, options) => {
        const snapshot = await library.find(repository, revision, options)
        if (snapshot !== undefined) await this.assertMayRead(repository, authorization)
        return snapshot
      },
      refs: async (repository) => {
        const refs = await library.refs(repository)
        if (refs.length > 0) await this.assertMayRead(repository, authorization)
        return refs
      },
      has: async (repository) => {
        const isMirrored = await library.has(repository)
        if (isMirrored) await this.assertMayRead(repository, authorization)
        return isMirrored
      },
    }
  }

  /** Rejects with a {@link HubFailure}, in the Hub's own shape, where the credentials don't suffice. */
  async assertMayRead(repository: Repository, authorization: string | undefined): Promise<void> {
    if (this.#options.mode === 'tokens') this.#assertToken(repository, authorization)
    else if (this.#options.mode === 'hub') await this.#assertAtHub(repository, authorization)
  }

  #assertToken(repository: Repository, authorization: string | undefined): void {
    const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1]
    const digest = digestOf(given ?? '')
    // Every token is compared, in constant time, so that nothing is learnt from how long it takes.
    const matching = this.#tokens.filter((token) => timingSafeEqual(token.digest, digest))
    if (given === undefined || matching.length === 0)
      throw new HubFailure('RepoNotFound', 401, 'this mirror wants one of its own tokens: set HF_TOKEN')
    const name = formatRepository(repository)
    if (!matching.some((token) => token.covers(name)))
      throw new HubFailure('GatedRepo', 403, `this token does not give access to ${name}`)
  }

  async #assertAtHub(repository: Repository, authorization: string | undefined): Promise<void> {
    const key = `${digestOf(authorization ?? '').toString('base64')} ${formatRepository(repository)}`
    const known = this.#verdicts.get(key)
    const age = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.at
    if (known !== undefined && age < this.#options.cacheFor) return assertVerdict(known.verdict)
    let verdict: HubVerdict
    try {
      verdict = await this.#check(repository, authorization)
    } catch (error) {
      if (known !== undefined && known.verdict.status === 200 && age < this.#options.grace) return
      throw new HubFailure(
        'AccessUnknown',
        503,
        `whether you may read ${formatRepository(repository)} cannot be checked while the Hub does not answer: ${describeError(error)}`,
        { cause: error },
      )
    }
    this.#verdicts.set(key, { verdict, at: Date.now() })
    assertVerdict(verdict)
  }
}

function assertVerdict({ status, code, message }: HubVerdict): void {
  if (status !== 200) throw new HubFailure(code ?? 'RepoNotFound', status, message)
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
