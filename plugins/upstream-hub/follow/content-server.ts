import { setTimeout as delay } from 'node:timers/promises'
import type { RequestBody, UpstreamRequest } from 'mirrorface/plugin'
import { drain, headerOf, isRedirect, type WireAnswer } from '../transport/answer.ts'
import { DirectWire } from '../transport/direct-wire.ts'
import type { Deadline, Limits } from '../transport/limits.ts'
import { OutgoingBody } from '../transport/outgoing-body.ts'
import { guardedConnect } from './guarded-connect.ts'

import { type RedirectGuard, RedirectRefused } from './redirect-guard.ts'

const mostHops = 5

/** Hosts other than the upstream: its CDN. They get no credentials, and only those that the guard lets through are asked. */
export class ContentServer {
  readonly #guard: RedirectGuard
  readonly #wire: DirectWire
  readonly #retries: number

  constructor(guard: RedirectGuard, limits: Limits, retries: number) {
    this.#guard = guard
    this.#wire = new DirectWire(limits, guardedConnect(guard, limits.connectTimeout))
    this.#retries = retries
  }

  /** The content at `url`, redirects followed (`given` goes to the first host only), asked again where no head came. */
  async get(
    url: string,
    given: Readonly<Record<string, string>> & { readonly range: string },
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<WireAnswer> {
    const first = new URL(url)
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#follow(first, (target) => {
          const own = target.origin === first.origin ? given : { range: given.range }
          return this.#send({
            method: 'GET',
            target,
            headers: { ...own, 'accept-encoding': 'identity' },
            deadline,
            signal,
          })
        })
      } catch (error) {
        if (error instanceof RedirectRefused || error instanceof TooManyRedirects) throw error
        if (signal.aborted || deadline.isOver || attempt > this.#retries) throw error
        await delay(50 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal })
      }
    }
  }

  /** Passes a request on to a URL whose seal the server has opened. It is sent once. */
  async pass(
    url: string,
    request: Pick<UpstreamRequest, 'method' | 'signal'> & {
      readonly headers: Readonly<Record<string, string>>
      readonly body: RequestBody | undefined
      readonly deadline: Deadline
    },
  ): Promise<WireAnswer> {
    const { method, headers, body, deadline, signal } = request
    return await this.#send({ method, target: new URL(url), headers, body, deadline, signal })
  }

  async close(): Promise<void> {
    await this.#wire.close()
  }

  async #follow(first: URL, ask: (target: URL) => Promise<WireAnswer>): Promise<WireAnswer> {
    let target = first
    for (let hop = 0; hop < mostHops; hop++) {
      const answer = await ask(target)
      const location = headerOf(answer.headers, 'location')
      if (!isRedirect(answer.status) || location === undefined || !URL.canParse(location, target.href)) return answer
      drain(answer.body)
      target = new URL(location, target)
    }
    throw new TooManyRedirects(`${first.host} redirects more than ${mostHops} times`)
  }

  async #send(request: {
    readonly method: UpstreamRequest['method']
    readonly target: URL
    readonly headers: Readonly<Record<string, string>>
    readonly body?: RequestBody | undefined
    readonly deadline: Deadline
    readonly signal: AbortSignal
  }): Promise<WireAnswer> {
    const { method, target, headers, body, deadline, signal } = request
    this.#guard.assertUrl(target)
    const outgoing = body === undefined ? undefined : new OutgoingBody(body)
    return await this.#wire.send({ method, url: target.href, headers, body: outgoing, deadline, signal })
  }
}

export class TooManyRedirects extends Error {}

/** Headers that a client's request to a sealed URL is sent with: of the content, and nothing that tells whose it is. */
export function contentHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const kept: Record<string, string> = { 'accept-encoding': 'identity' }
  for (const name of [
    'accept',
    'content-type',
    'content-encoding',
    'range',
    'if-match',
    'if-none-match',
    'if-range',
    'user-agent',
  ]) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}
