import { discard, ReadingBudget } from 'mirrorface/plugin'
import { endToEnd } from '../rewrite/answer-headers.ts'
import { drain, headerOf, isBodiless, lengthOf, type WireAnswer } from '../transport/answer.ts'
import { readBounded } from './bounded-body.ts'
import type { CachedAnswer, PrepareAnswer } from './cached-answer.ts'
import { freshened, type KeptAnswer } from './kept-answer.ts'
import type { QuestionKey } from './question.ts'
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
  /** It is about one request, or one moment: those that waited for it ask for themselves. */
  readonly isAskersOwn: boolean
  /** Whole, if it may be kept. */
  readonly keepable: KeptAnswer | undefined
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
    question: QuestionKey,
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

  #freshen(question: QuestionKey, kept: KeptAnswer, update: WireAnswer, askedAt: number): ReadAnswer {
    const at = Date.now()
    const answer = { ...kept.answer, headers: freshened(kept.answer.headers, endToEnd(update.headers)) }
    // Judged with what is not kept of the update: a cookie makes it one client's own.
    const headers = [...answer.headers, ...update.headers.filter(([name]) => name === 'set-cookie')]
    const storability = storabilityOf(
      { method: question.method, status: answer.status, headers, receivedAt: at },
      this.#options,
    )
    return readAnswer(answer, { answer, validator: kept.validator, askedAt, at, storability })
  }

  async #readNew(question: QuestionKey, answer: WireAnswer, askedAt: number): Promise<ReadAnswer> {
    const { status, headers } = answer
    const at = Date.now()
    const body = await this.#readBody(question.method, answer)
    const given = { status, headers: endToEnd(headers), body }
    if (!(body instanceof Uint8Array)) return readAnswer(given, undefined)
    const storability = storabilityOf({ method: question.method, status, headers, receivedAt: at }, this.#options)
    const prepared = this.#options.prepare({ ...given, body }, question.form)
    const keepable: KeptAnswer = {
      answer: prepared,
      validator: headerOf(headers, 'etag'),
      askedAt,
      at,
      storability: isFailure(status) || isAskersOwn(status) ? { ...storability, isStorable: false } : storability,
    }
    return readAnswer(prepared, keepable)
  }

  async #readBody(method: string, answer: WireAnswer): Promise<CachedAnswer['body']> {
    if (isBodiless(method, answer.status)) {
      drain(answer.body)
      return new Uint8Array()
    }
    return await readBounded(answer.body, lengthOf(answer.headers), largestKept, this.#budget)
  }
}

/** Refusals of how it was asked: a head that is too large, a request that came too slowly. */
const ofOneRequest = new Set([400, 408, 413, 414, 431])

function isFailure(status: number): boolean {
  return status === 429 || status >= 500
}

function isAskersOwn(status: number): boolean {
  return ofOneRequest.has(status) || status >= 500
}

function readAnswer(given: CachedAnswer, keepable: KeptAnswer | undefined): ReadAnswer {
  const isOwn = isAskersOwn(given.status)
  return {
    given,
    isShareable: keepable?.storability.isShareable === true && !isOwn,
    isFailure: isFailure(given.status),
    isAskersOwn: isOwn,
    keepable,
    abandon() {
      if (!(given.body instanceof Uint8Array)) discard(given.body)
    },
  }
}

/** Weakly compared (RFC 9110 §8.8.3.2). */
function isSameTag(one: string, other: string | undefined): boolean {
  return one.replace(/^W\//, '') === other?.replace(/^W\//, '')
}
