import { buffer } from 'node:stream/consumers'
import { LRUCache } from 'lru-cache'
import type { Exchange } from 'mirrorface/plugin'
import { type HubAnswer, headerOf } from './hub-answer.ts'

/** A small answer, whole. */
export interface KeptAnswer {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
  /** When the Hub last said it, in milliseconds. */
  readonly at: number
}

export interface MetadataCacheOptions {
  /** Bytes. */
  readonly size: number
  /** Milliseconds for which an answer is given again without asking. */
  readonly freshFor: number
  /** Milliseconds for which an answer is given again when the Hub cannot be asked. */
  readonly staleIfError: number
}

/** Answers larger than this, in bytes, are not kept. */
const largestKept = 16 * 1024 * 1024

/** Worth giving again when the Hub is down: an answer, not a refusal. */
const lasting = new Set([200, 301, 302, 307, 308])

/** Asks the Hub, with the validator of an answer kept earlier. */
export type AskMetadata = (ifNoneMatch: string | undefined) => Promise<HubAnswer>

/**
 * Metadata that many clients want at once. Requests for one thing with the same credentials share
 * one answer; an answer is believed for a moment, revalidated by its ETag, and given again, stale,
 * when the Hub is down. Nothing is ever shared across credentials.
 */
export class MetadataCache {
  readonly #options: MetadataCacheOptions
  readonly #kept: LRUCache<string, KeptAnswer>
  #trustedSince = 0
  readonly #asking = new Map<string, Promise<KeptAnswer>>()

  constructor(options: MetadataCacheOptions) {
    this.#options = options
    this.#kept = new LRUCache({
      maxSize: options.size,
      sizeCalculation: ({ body, headers }) => body.length + headers.join('').length + 200,
    })
  }

  /** Whether an exchange is for metadata that may be shared: read-only, whole, of a known kind. */
  static covers({ request, hub }: Exchange): boolean {
    const { method, headers } = request
    if (headers.range !== undefined || headers['if-none-match'] !== undefined) return false
    if (method === 'GET') return ['info', 'tree', 'treesize', 'refs', 'commits'].includes(hub.operation)
    return method === 'HEAD' && (hub.operation === 'resolve' || hub.operation === 'resolve-cache')
  }

  /** The answer; rejects as `ask` does where none is kept. `stale` tells that the Hub could not be asked. */
  async answer(key: string, ask: AskMetadata): Promise<{ answer: KeptAnswer; stale: boolean }> {
    const kept = this.#kept.get(key)
    const isFresh = kept !== undefined && kept.at > this.#trustedSince && Date.now() - kept.at < this.#options.freshFor
    if (isFresh) return { answer: kept, stale: false }
    let asking = this.#asking.get(key)
    if (asking === undefined) {
      asking = this.#refresh(key, kept, ask).finally(() => this.#asking.delete(key))
      this.#asking.set(key, asking)
    }
    try {
      const answer = await asking
      const isFailure = answer.status >= 500 || answer.status === 429
      return isFailure && this.#isUsable(kept) ? { answer: kept, stale: true } : { answer, stale: false }
    } catch (error) {
      if (this.#isUsable(kept)) return { answer: kept, stale: true }
      throw error
    }
  }

  /** After a write through the mirror: whatever is kept must be asked for again before it is believed. */
  distrust(): void {
    this.#trustedSince = Date.now()
  }

  #isUsable(kept: KeptAnswer | undefined): kept is KeptAnswer {
    return kept !== undefined && lasting.has(kept.status) && Date.now() - kept.at < this.#options.staleIfError
  }

  async #refresh(key: string, kept: KeptAnswer | undefined, ask: AskMetadata): Promise<KeptAnswer> {
    const answer = await ask(kept === undefined ? undefined : headerOf(kept.headers, 'etag'))
    const body = await buffer(answer.body)
    const fresh =
      answer.status === 304 && kept !== undefined
        ? { ...kept, at: Date.now() }
        : { status: answer.status, headers: answer.headers, body, at: Date.now() }
    if (fresh.status < 500 && fresh.status !== 429 && body.length <= largestKept) this.#kept.set(key, fresh)
    return fresh
  }
}
