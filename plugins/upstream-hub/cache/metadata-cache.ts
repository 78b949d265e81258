import { LRUCache } from 'lru-cache'
import type { WireAnswer } from '../transport/answer.ts'
import type { CachedAnswer } from './cached-answer.ts'
import { type KeptAnswer, reused, sizeOf } from './kept-answer.ts'
import { MetadataReader, type MetadataReaderOptions, type ReadAnswer } from './metadata-reader.ts'
import { type Question, type QuestionKey, spell } from './question.ts'
import { SharedQuestion } from './shared-question.ts'

/** Asks the upstream what the key says, with the validator of an answer kept earlier. */
export type AskMetadata = (key: QuestionKey, validator: string | undefined, signal: AbortSignal) => Promise<WireAnswer>

interface Asking {
  readonly question: SharedQuestion<ReadAnswer>
  readonly askedAt: number
}

/**
 * Where an answer came from: kept and fresh, kept and given stale, a question that another had put already, or one of
 * its own.
 */
export type AnswerFrom = 'kept' | 'stale' | 'shared' | 'asked'

export interface Found {
  readonly answer: CachedAnswer
  readonly from: AnswerFrom
}

type InTime =
  | { readonly answer: ReadAnswer; readonly stale: undefined }
  | { readonly answer: undefined; readonly stale: CachedAnswer }

const mostEntries = 50_000

/** Clients give up after 10 s: milliseconds after which what is kept is given, stale, while the question goes on. */
const patience = 1_500

/**
 * Metadata that many clients want at once. Requests for one thing with the same credentials share one question; an answer
 * is reused as RFC 9111 allows a shared cache, and served stale while the upstream can't be asked. Nothing is shared
 * across credentials.
 */
export class MetadataCache {
  readonly #kept: LRUCache<string, KeptAnswer>
  readonly #ask: AskMetadata
  readonly #reader: MetadataReader
  readonly #asking = new Map<string, Asking>()
  /** Since when answers about a repository are believed, after a write to it. */
  readonly #trustedSince = new LRUCache<string, number>({ max: 10_000 })
  #allTrustedSince = 0

  /** `ask` is the cache's, not a request's: it can send nothing but what the key holds. */
  constructor(ask: AskMetadata, options: MetadataReaderOptions) {
    this.#ask = ask
    this.#kept = new LRUCache({ max: mostEntries, maxSize: options.size, sizeCalculation: sizeOf })
    this.#reader = new MetadataReader(options)
  }

  /** The answer; rejects as the question does where none is kept, or with the signal's reason. */
  async answer(question: Question, signal: AbortSignal): Promise<Found> {
    const key = spell(question.key)
    for (let mayShare = true; ; mayShare = false) {
      const kept = this.#kept.get(key)
      if (kept !== undefined && this.#isFresh(kept, question)) return { answer: reused(kept, false), from: 'kept' }
      const others = mayShare ? this.#asking.get(key) : undefined
      const joined = others !== undefined && this.#isTrusted(others.askedAt, question) ? others.question : undefined
      const asking = joined ?? this.#put(key, question, kept)
      const { stale, answer } = await this.#answerInTime(
        asking,
        question.mayBeStale ? kept : undefined,
        signal,
        joined === undefined,
      )
      if (stale !== undefined) return { answer: stale, from: 'stale' }
      if (joined === undefined) return { answer: answer.given, from: 'asked' }
      if (answer.isShareable) return { answer: answer.given, from: 'shared' }
    }
  }

  /** After a write to a repository, or to one that can't be named: what is kept must be validated before it is used. */
  distrust(repository: string | undefined): void {
    if (repository === undefined) this.#allTrustedSince = Date.now()
    else this.#trustedSince.set(repository, Date.now())
  }

  /** `stale` where the upstream fails, or says nothing for a while, and what is kept may be served so. */
  async #answerInTime(
    asking: SharedQuestion<ReadAnswer>,
    kept: KeptAnswer | undefined,
    signal: AbortSignal,
    isOwn: boolean,
  ): Promise<InTime> {
    const abandon = () => {
      // A stream is the asker's own: nobody else reads it.
      if (isOwn)
        void asking.outcome.then(
          (answer) => answer.abandon(),
          () => undefined,
        )
    }
    if (kept === undefined || Date.now() - kept.at >= kept.storability.staleFor) {
      const answer = await asking.answer(signal).catch((error: unknown) => {
        abandon()
        throw error
      })
      return { answer, stale: undefined }
    }
    const timer = Promise.withResolvers<undefined>()
    const timeout = setTimeout(() => {
      asking.keepGoing()
      timer.resolve(undefined)
    }, patience)
    const answer = await Promise.race([asking.answer(signal).catch(() => undefined), timer.promise])
    clearTimeout(timeout)
    if (answer !== undefined && !answer.isFailure && !signal.aborted) return { answer, stale: undefined }
    abandon()
    signal.throwIfAborted()
    return { answer: undefined, stale: reused(kept, true) }
  }

  #put(key: string, question: Question, kept: KeptAnswer | undefined): SharedQuestion<ReadAnswer> {
    const shared = new SharedQuestion(async (signal) => {
      try {
        const answer = await this.#reader.read(question.key, kept, (validator) =>
          this.#ask(question.key, validator, signal),
        )
        this.#keep(key, answer)
        return answer
      } finally {
        if (this.#asking.get(key)?.question === shared) this.#asking.delete(key)
      }
    })
    this.#asking.set(key, { question: shared, askedAt: Date.now() })
    return shared
  }

  #keep(key: string, { keepable, isFailure, isAskersOwn }: ReadAnswer): void {
    if (keepable?.storability.isStorable === true) this.#kept.set(key, keepable)
    else if (!isFailure && !isAskersOwn) this.#kept.delete(key)
  }

  #isFresh({ at, askedAt, storability }: KeptAnswer, question: Question): boolean {
    return Date.now() - at < storability.freshFor && this.#isTrusted(askedAt, question)
  }

  #isTrusted(askedAt: number, { repository }: Question): boolean {
    const since = repository === undefined ? 0 : (this.#trustedSince.get(repository) ?? 0)
    return askedAt > Math.max(since, this.#allTrustedSince)
  }
}
