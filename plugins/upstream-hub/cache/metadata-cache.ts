import { LRUCache } from 'lru-cache'
import type { WireAnswer } from '../transport/answer.ts'
import type { CachedAnswer } from './cached-answer.ts'
import { type KeptAnswer, reused, sizeOf } from './kept-answer.ts'
import { Keys, type Question } from './keys.ts'
import { MetadataReader, type MetadataReaderOptions, type ReadAnswer } from './metadata-reader.ts'
import { SharedQuestion } from './shared-question.ts'

/** Asks the upstream, with the validator of an answer kept earlier. */
export type AskMetadata = (validator: string | undefined, signal: AbortSignal) => Promise<WireAnswer>

interface Asking {
  readonly question: SharedQuestion<ReadAnswer>
  readonly askedAt: number
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
  readonly #keys: Keys
  readonly #reader: MetadataReader
  readonly #asking = new Map<string, Asking>()
  /** Since when answers about a repository are believed, after a write to it. */
  readonly #trustedSince = new LRUCache<string, number>({ max: 10_000 })
  #allTrustedSince = 0

  constructor(options: MetadataReaderOptions) {
    this.#kept = new LRUCache({ max: mostEntries, maxSize: options.size, sizeCalculation: sizeOf })
    this.#keys = new Keys(mostEntries, options.size / 16)
    this.#reader = new MetadataReader(options)
  }

  /** The answer; rejects as `ask` does where none is kept, or with the signal's reason. */
  async answer(question: Question, ask: AskMetadata, signal: AbortSignal): Promise<CachedAnswer> {
    for (let mayShare = true; ; ) {
      const key = this.#keys.of(question)
      const kept = this.#kept.get(key)
      if (kept !== undefined && this.#isFresh(kept, question)) return reused(kept, false)
      const others = mayShare ? this.#asking.get(key) : undefined
      const joined = others !== undefined && this.#isTrusted(others.askedAt, question) ? others.question : undefined
      const asking = joined ?? this.#ask(key, question, kept, ask)
      const { stale, answer } = await this.#answerInTime(
        asking,
        question.mayBeStale ? kept : undefined,
        signal,
        joined === undefined,
      )
      if (stale !== undefined) return stale
      if (joined === undefined || (answer.isShareable && answer.key === this.#keys.of(question))) return answer.given
      mayShare = answer.isShareable // where it is, `Vary` selects another for this one
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

  #ask(key: string, question: Question, kept: KeptAnswer | undefined, ask: AskMetadata): SharedQuestion<ReadAnswer> {
    const shared = new SharedQuestion(async (signal) => {
      try {
        const answer = await this.#reader.read(question, kept, (validator) => ask(validator, signal))
        answer.key = this.#keys.note(question, answer.vary)
        this.#keep(answer.key, answer)
        return answer
      } finally {
        if (this.#asking.get(key)?.question === shared) this.#asking.delete(key)
      }
    })
    this.#asking.set(key, { question: shared, askedAt: Date.now() })
    return shared
  }

  #keep(key: string, { keepable, isFailure }: ReadAnswer): void {
    if (keepable?.storability.isStorable === true) this.#kept.set(key, keepable)
    else if (!isFailure) this.#kept.delete(key)
  }

  #isFresh({ at, askedAt, storability }: KeptAnswer, question: Question): boolean {
    return Date.now() - at < storability.freshFor && this.#isTrusted(askedAt, question)
  }

  #isTrusted(askedAt: number, { repository }: Question): boolean {
    const since = repository === undefined ? 0 : (this.#trustedSince.get(repository) ?? 0)
    return askedAt > Math.max(since, this.#allTrustedSince)
  }
}
