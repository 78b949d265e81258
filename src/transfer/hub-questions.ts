import { EnvHttpProxyAgent, fetch, type Response } from 'undici'
import { formatHubPath, type Repository, repositoryInfoSchema } from '../hub/index.ts'

/** Milliseconds that the Hub may take to say whether a client has access. */
const timeout = 10_000

export interface HubVerdict {
  readonly status: number
  readonly code: string | undefined
  readonly message: string
}

/** Short questions to the Hub, each with the credentials of the client that it is about. */
export class HubQuestions {
  readonly #endpoint: string
  readonly #serviceToken: string | undefined
  readonly #dispatcher = new EnvHttpProxyAgent()

  constructor(endpoint: string, serviceToken: string | undefined) {
    this.#endpoint = endpoint.replace(/\/+$/, '')
    this.#serviceToken = serviceToken
  }

  /** Whether these credentials may read the repository (hub-protocol §3, auth-check). Rejects where the Hub can't say. */
  async mayRead(repository: Repository, authorization: string | undefined): Promise<HubVerdict> {
    const response = await this.#ask(formatHubPath({ operation: 'auth-check', repository }), authorization)
    await response.body?.cancel()
    if (response.status >= 500 || response.status === 429) throw new Error(`the Hub answered ${response.status}`)
    return {
      status: response.status,
      code: response.headers.get('x-error-code') ?? undefined,
      message: response.headers.get('x-error-message') ?? 'the Hub refuses access with these credentials',
    }
  }

  /** Whether the Hub knows these credentials, and what time it is there. Rejects where it can't be reached. */
  async whoAmI(authorization: string | undefined): Promise<{ status: number; date: string | undefined }> {
    const response = await this.#ask('/api/whoami-v2', authorization)
    await response.body?.cancel()
    return { status: response.status, date: response.headers.get('date') ?? undefined }
  }

  /** The paths of a revision's files; `undefined` where the Hub will not say. */
  async files(
    repository: Repository,
    revision: string,
    authorization: string | undefined,
  ): Promise<readonly string[] | undefined> {
    const path = formatHubPath({ operation: 'info', repository, revision })
    const service = this.#serviceToken === undefined ? authorization : `Bearer ${this.#serviceToken}`
    const response = await this.#ask(path, service)
    if (!response.ok) {
      await response.body?.cancel()
      return undefined
    }
    const info = repositoryInfoSchema.safeParse(await response.json())
    const siblings = info.success ? info.data.siblings : undefined
    if (!Array.isArray(siblings)) return undefined
    return siblings.map((sibling: unknown) =>
      sibling instanceof Object && 'rfilename' in sibling ? String(sibling.rfilename) : '',
    )
  }

  async #ask(path: string, authorization: string | undefined): Promise<Response> {
    return await fetch(this.#endpoint + path, {
      headers: authorization === undefined ? {} : { authorization },
      signal: AbortSignal.timeout(timeout),
      dispatcher: this.#dispatcher,
    })
  }
}
