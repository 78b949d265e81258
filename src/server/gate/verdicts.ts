import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { formatRepository, type Repository } from '../../hub/index.ts'
import { AuthorityLimits } from './authority.ts'
import type { Client } from './client.ts'
import type { Verdict } from './hub-access.ts'

export interface VerdictOptions {
  /** Milliseconds for which a verdict is believed. */
  readonly cacheFor: number
  /** Milliseconds for which an accepted client is still accepted while the Hub does not answer. */
  readonly grace: number
  /** Milliseconds to wait for the Hub where a verdict within the grace is at hand. */
  readonly patience?: number
}

type Ask = (repository: Repository, client: Client) => Promise<Verdict>

interface Known extends Verdict {
  readonly at: number
}

const defaultPatience = 2_000

/**
 * Milliseconds since a client was accepted last, after which a 429 to a question about it counts as no. Clients can bring
 * about a 429 to their own token: one that was thrown out must not stay for the grace by that.
 */
const longestLimited = 300_000

/**
 * Questions of one address, refused within a minute or unanswered yet, after which it is not asked about further tokens:
 * thousands at once would all be asked before the first was refused.
 */
const mostRefused = 600
/** Questions that may be under way in the background while the Hub is silent. */
const mostInBackground = 32

/**
 * The Hub's word on who may read what, kept for a while. Accepted verdicts are kept apart from refused ones, so that
 * made-up tokens cannot push them out.
 */
export class Verdicts {
  readonly #ask: Ask
  readonly #options: Required<VerdictOptions>
  readonly #accepted = new LRUCache<string, Known>({ max: 50_000 })
  readonly #refused = new LRUCache<string, Known>({ max: 10_000 })
  readonly #refusedOf: LRUCache<string, number>
  /** Questions under way about an address's tokens. */
  readonly #askingOf = new Map<string, number>()
  /** Clients and repositories about which the last question was answered 429. */
  readonly #limited = new LRUCache<string, true>({ max: 50_000 })
  readonly #asking = new Map<string, Promise<Known | undefined>>()
  /** Whether the Hub left the last question unanswered. */
  #isSilent = false

  constructor(ask: Ask, options: VerdictOptions) {
    this.#ask = ask
    this.#options = { patience: defaultPatience, ...options }
    this.#refusedOf = new LRUCache({ max: 10_000, ttl: 60_000, noUpdateTTL: true })
  }

  /**
   * Whether the client may read what is stored of a repository under the Hub's id `storedId` (`undefined`: none was
   * recorded). Where the Hub does not answer, the answer is no, unless it said yes within the grace; where it answers 429,
   * unless it said yes a short time ago. Never rejects.
   */
  async mayRead(repository: Repository, client: Client, storedId: string | undefined): Promise<boolean> {
    const key = keyOf(repository, client)
    const verdict = await this.#verdict(key, repository, client)
    if (verdict?.readable !== true) return false
    // A name can be deleted and registered again by somebody else: what is stored is not theirs to open.
    return storedId === undefined ? verdict.isRenamed !== true : verdict.id === storedId
  }

  async #verdict(key: string, repository: Repository, client: Client): Promise<Known | undefined> {
    const known = this.#accepted.get(key) ?? this.#refused.get(key)
    const age = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.at
    if (age < this.#options.cacheFor) return known
    if (known?.readable === true && age < this.#options.grace) {
      if (this.#isSilent && !this.#limited.has(key)) {
        if (this.#asking.size < mostInBackground) void this.#question(key, repository, client)
        return known
      }
      const answered = await this.#withPatience(this.#question(key, repository, client))
      return answered ?? (Date.now() - known.at < this.#graceOf(key) ? known : undefined)
    }
    if (!this.#asking.has(key) && client.kind === 'hub' && this.#countOf(client.address) >= mostRefused)
      return undefined
    return await this.#question(key, repository, client)
  }

  #countOf(address: string): number {
    return (this.#refusedOf.get(address) ?? 0) + (this.#askingOf.get(address) ?? 0)
  }

  #countAsking(address: string, more: 1 | -1): void {
    const count = (this.#askingOf.get(address) ?? 0) + more
    if (count === 0) this.#askingOf.delete(address)
    else this.#askingOf.set(address, count)
  }

  /** Milliseconds since it was accepted for which a client is accepted without an answer. */
  #graceOf(key: string): number {
    const { cacheFor, grace } = this.#options
    return this.#limited.has(key) ? Math.min(2 * cacheFor, longestLimited, grace) : grace
  }

  /** `undefined` where the Hub takes too long: it counts as silent until it answers again. */
  async #withPatience(question: Promise<Known | undefined>): Promise<Known | undefined> {
    const given = new AbortController()
    const patience = delay(this.#options.patience, 'silent' as const, { signal: given.signal, ref: false })
    const first = await Promise.race([question, patience.catch(() => undefined)])
    given.abort()
    if (first !== 'silent') return first
    this.#isSilent = true
    return undefined
  }

  /** One question for all who need its answer; `undefined` where there is none. */
  #question(key: string, repository: Repository, client: Client): Promise<Known | undefined> {
    let question = this.#asking.get(key)
    if (question === undefined) {
      if (client.kind === 'hub') this.#countAsking(client.address, 1)
      question = this.#learn(key, repository, client).finally(() => {
        this.#asking.delete(key)
        if (client.kind === 'hub') this.#countAsking(client.address, -1)
      })
      this.#asking.set(key, question)
    }
    return question
  }

  async #learn(key: string, repository: Repository, client: Client): Promise<Known | undefined> {
    let verdict: Verdict
    try {
      verdict = await this.#ask(repository, client)
    } catch (error) {
      // The transport counts and logs why; what follows from it is decided by who asked.
      this.#isSilent = !(error instanceof AuthorityLimits)
      if (this.#isSilent) this.#limited.delete(key)
      else this.#limited.set(key, true)
      return undefined
    }
    this.#isSilent = false
    this.#limited.delete(key)
    const known: Known = { ...verdict, at: Date.now() }
    const [here, there] = known.readable ? [this.#accepted, this.#refused] : [this.#refused, this.#accepted]
    here.set(key, known)
    there.delete(key)
    if (!known.readable && client.kind === 'hub')
      this.#refusedOf.set(client.address, (this.#refusedOf.get(client.address) ?? 0) + 1)
    return known
  }
}

function keyOf(repository: Repository, client: Client): string {
  const credential = client.kind === 'hub' ? createHash('sha256').update(client.token).digest('base64') : 'none'
  return `${credential} ${formatRepository(repository).toLowerCase()}`
}
