import { EnvHttpProxyAgent, errors, request } from 'undici'
import { ClientGone, UpstreamTimeout } from './health.ts'
import { answerOfResponse, type HubAnswer } from './hub-answer.ts'

export interface DirectClientOptions {
  readonly connectTimeout: number
  readonly headersTimeout: number
  readonly idleTimeout: number
}

/** Requests that MirrorFace makes on its own account: metadata for many clients at once, and redirects' targets. */
export class DirectClient {
  readonly #agent: EnvHttpProxyAgent

  constructor(options: DirectClientOptions) {
    this.#agent = new EnvHttpProxyAgent({
      connect: { timeout: options.connectTimeout },
      headersTimeout: options.headersTimeout,
      bodyTimeout: options.idleTimeout,
      keepAliveTimeout: 30_000,
    })
  }

  async ask(
    url: string | URL,
    options: { method: 'GET' | 'HEAD'; headers: Record<string, string>; signal?: AbortSignal },
  ): Promise<HubAnswer> {
    try {
      return answerOfResponse(await request(url, { dispatcher: this.#agent, ...options }))
    } catch (error) {
      if (isTimeout(options.signal?.reason)) throw new UpstreamTimeout('the whole took too long', { cause: error })
      if (options.signal?.aborted === true) throw new ClientGone('the client has gone')
      if (error instanceof errors.ConnectTimeoutError || error instanceof errors.HeadersTimeoutError)
        throw new UpstreamTimeout(error.message, { cause: error })
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}

/** What `AbortSignal.timeout` aborts with. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}
