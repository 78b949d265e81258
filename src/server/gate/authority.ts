import { randomUUID } from 'node:crypto'
import { Failure, type Target } from '../../hub/index.ts'
import { ReadingBudget, type Rights, type Upstream, type UpstreamAnswer } from '../../plugin/index.ts'

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

/**
 * It answered 429, or waits because it did, or is asked too much already: not silent, but unwilling to answer whoever
 * asks.
 */
export class AuthorityLimits extends AuthorityUnavailable {}

/** Milliseconds that a question may take; clients themselves give up after ten seconds. */
const questionTimeout = 5_000

/**
 * Questions at a time. They go on when the client has left, so that its connections do not bound them, and a Hub that
 * says nothing would have each of them, with a connection, for {@link questionTimeout}.
 */
export const mostQuestions = 2_048

/** Bytes of an answer: the info of a repository with 100,000 files takes some 20 MB. */
const largestAnswer = 32 * 1024 * 1024

/** Bytes that all answers may take while they are read: those of thousands of questions at once would fill the memory. */
const mostHeld = 96 * 1024 * 1024

/** Asks the authority upstream on the gate's own behalf, by the transport that everything else takes. */
export class Authority {
  readonly upstream: Upstream
  readonly #headers: Readonly<Record<string, string>>
  readonly #budget = new ReadingBudget(mostHeld)
  #asking = 0

  /** @param headers what goes with every question: `via`, so that loops are noticed */
  constructor(upstream: Upstream, headers: Readonly<Record<string, string>>) {
    this.upstream = upstream
    this.#headers = { ...headers, accept: 'application/json' }
  }

  /** Rejects with {@link AuthorityUnavailable} where it declines, is overloaded (429) or fails (5xx). */
  async ask(target: Target, rights: Rights): Promise<AuthorityAnswer> {
    if (this.#asking >= mostQuestions) throw new AuthorityLimits('the Hub is asked too much at a time')
    this.#asking++
    try {
      return await this.#ask(target, rights)
    } finally {
      this.#asking--
    }
  }

  async #ask(target: Target, rights: Rights): Promise<AuthorityAnswer> {
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
    const json = await this.#readJson(answer)
    if (answer.status === 429) throw new AuthorityLimits('the Hub answered 429')
    if (answer.status >= 500) throw new AuthorityUnavailable(`the Hub answered ${answer.status}`)
    return {
      status: answer.status,
      json,
      errorCode: headerOf(answer, 'x-error-code'),
      errorMessage: headerOf(answer, 'x-error-message'),
      location: headerOf(answer, 'location'),
    }
  }

  /** Rejects with {@link AuthorityUnavailable} where it breaks off, or takes more memory than there is. */
  async #readJson({ body }: UpstreamAnswer): Promise<unknown> {
    if (body instanceof Uint8Array) return parseJson(body)
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        if (size + chunk.byteLength > largestAnswer) throw new Error(`its answer is larger than ${largestAnswer} bytes`)
        if (!this.#budget.tryTake(chunk.byteLength)) throw new Error('too many of its answers are being read')
        size += chunk.byteLength
        chunks.push(chunk)
      }
      return parseJson(Buffer.concat(chunks, size))
    } catch (cause) {
      throw new AuthorityUnavailable('the Hub did not answer to its end', { cause })
    } finally {
      this.#budget.give(size)
    }
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    return undefined // an error page: its status says enough
  }
}

function headerOf({ headers }: UpstreamAnswer, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1]
}
