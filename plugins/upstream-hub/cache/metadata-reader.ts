import { endToEnd } from '../rewrite/answer-headers.ts'
import { discard, drain, headerOf, isBodiless, lengthOf, type WireAnswer } from '../transport/answer.ts'
import { ReadingBudget, readBounded } from './bounded-body.ts'
import type { CachedAnswer, PrepareAnswer } from './cached-answer.ts'
import { freshened, type KeptAnswer } from './kept-answer.ts'
import type { Question } from './keys.ts'
import { type StorabilityOptions, storabilityOf } from './storability.ts'

export interface MetadataReaderOptions extends StorabilityOptions {
  /** Bytes that answers may take while they are read. */
  readonly size: number
  readonly prepare: PrepareAnswer
}

/** Answers larger than this, in bytes, are passed on and not kept. */
const largestKept = 8 * 1024 * 1024

/** An upstream's answer that was read, or was found too large to be. */
export interface ReadAnswer {
  readonly given: CachedAnswer
  /** Those that asked the same meanwhile may have it. */
  readonly isShareable: boolean
  /** 429 or 5xx: what was kept before is better. */
  readonly isFailure: boolean
  readonly vary: readonly string[]
  /** Whole, if it may be kept. */
  readonly keepable: KeptAnswer | undefined
  /** Under what it would be kept: set once that is known. */
  key: string | undefined
  /** Gives up a body that nobody reads. */
  abandon(): void
}

/** Reads answers within bounds of memory, and finds what may become of them. */
export class MetadataReader {
  readonly #options: MetadataReaderOptions
  readonly #budget: ReadingBudget

  constructor(options: MetadataReaderOptions) {
    this.#options = options
    this.#budget = new ReadingBudget(options.size)
  }

  async read(
    question: Question,
    kept: KeptAnswer | undefined,
    ask: (validator: string | undefined) => Promise<WireAnswer>,
  ): Promise<ReadAnswer> {
    const askedAt = Date.now()
    const answer = await ask(kept?.validator)
    if (answer.status !== 304 || kept === undefined) return await this.#readNew(question, answer, askedAt)
    drain(answer.body)
    const validated = headerOf(answer.headers, 'etag')
    if (validated === undefined || isSameTag(validated, kept.validator))
      return this.#freshen(question, kept, answer, askedAt)
    // It validates something that is not kept here (RFC 9111 §4.3.4).
    return await this.#readNew(question, await ask(undefined), askedAt)
  }

  #freshen(question: Question, kept: KeptAnswer, update: WireAnswer, askedAt: number): ReadAnswer {
    const at = Date.now()
    const answer = { ...kept.answer, headers: freshened(kept.answer.headers, endToEnd(update.headers)) }
    // Judged with what is not kept of the update: a cookie makes it one client's own.
    const headers = [...answer.headers, ...update.headers.filter(([name]) => name === 'set-cookie')]
    const storability = storabilityOf(
      { method: question.method, status: answer.status, headers, receivedAt: at },
      this.#options,
    )
    return readAnswer(answer, { answer, validator: kept.validator, askedAt, at, storability }, false)
  }

  async #readNew(question: Question, answer: WireAnswer, askedAt: number): Promise<ReadAnswer> {
    const { status, headers } = answer
    const at = Date.now()
    const body = await this.#readBody(question.method, answer)
    const isFailure = status === 429 || status >= 500
    const given = { status, headers: endToEnd(headers), body }
    if (!(body instanceof Uint8Array)) return readAnswer(given, undefined, isFailure)
    const storability = storabilityOf({ method: question.method, status, headers, receivedAt: at }, this.#options)
    const prepared = this.#options.prepare({ ...given, body }, question.form)
    const keepable: KeptAnswer = {
      answer: prepared,
      validator: headerOf(headers, 'etag'),
      askedAt,
      at,
      storability: isFailure ? { ...storability, isStorable: false } : storability,
    }
    return readAnswer(prepared, keepable, isFailure)
  }

  async #readBody(method: string, answer: WireAnswer): Promise<CachedAnswer['body']> {
    if (isBodiless(method, answer.status)) {
      drain(answer.body)
      return new Uint8Array()
    }
    return await readBounded(answer.body, lengthOf(answer.headers), largestKept, this.#budget)
  }
}

function readAnswer(given: CachedAnswer, keepable: KeptAnswer | undefined, isFailure: boolean): ReadAnswer {
  return {
    given,
    isShareable: keepable?.storability.isShareable === true,
    isFailure,
    vary: keepable?.storability.vary ?? [],
    keepable,
    key: undefined,
    abandon() {
      if (!(given.body instanceof Uint8Array)) discard(given.body)
    },
  }
}

/** Weakly compared (RFC 9110 §8.8.3.2). */
function isSameTag(one: string, other: string | undefined): boolean {
  return one.replace(/^W\//, '') === other?.replace(/^W\//, '')
}
