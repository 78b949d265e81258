import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** What a request carried that says who sent it. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly authorization: string | undefined
  readonly cookie: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** The Hub's own ids of what is mirrored, as the stand-in gave them. */
const storedId = '64b000000000000000000000'

/**
 * A Hub that has every repository: `org/public…` is everybody's, `org/gated…` and `org/private…` are for the tokens that
 * were given to it. It keeps who was said to ask.
 */
export class TokenHub {
  readonly seen: Seen[] = []
  /** Authorization headers that open everything. */
  readonly #opening: ReadonlySet<string>
  /** Whether it declines whatever clients ask, so that another upstream is asked. */
  readonly #declines: boolean
  readonly #server: Server

  constructor(opening: readonly string[], declines: boolean) {
    this.#opening = new Set(opening.map((token) => `Bearer ${token}`))
    this.#declines = declines
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers, rawHeaders } = request
    const body = await text(request)
    const { authorization, cookie } = headers
    this.seen.push({ method, url, headers, rawHeaders, authorization, cookie, body })
    const { pathname } = new URL(url, this.url)
    const opens = authorization !== undefined && this.#opening.has(authorization)
    const isQuestion =
      pathname.startsWith('/api/models/org/') && /^\/api\/models\/org\/[a-z-]+(?:\/auth-check)?$/.test(pathname)
    const visibility = /org\/(public|gated|private)/.exec(pathname)?.[1] ?? 'public'
    // Loop Detected (RFC 5842 §7.2): nothing that a client should get, so that the next upstream is asked.
    if (this.#declines && !(isQuestion && method === 'GET')) return end(response, 508, { error: 'declined' })
    const isRefused = !opens && (visibility === 'private' || (visibility === 'gated' && !isInfo(pathname)))
    if (isRefused) {
      response.setHeader('X-Error-Code', visibility === 'private' ? 'RepoNotFound' : 'GatedRepo')
      return end(response, 401, { error: 'Invalid username or password.' })
    }
    if (pathname === '/api/whoami-v2') return end(response, opens ? 200 : 401, { name: 'somebody at the Hub' })
    if (isInfo(pathname))
      return end(response, 200, {
        _id: storedId,
        id: pathname.slice('/api/models/'.length),
        sha: 'f'.repeat(40),
        private: visibility === 'private',
        gated: visibility === 'gated' ? 'manual' : false,
        siblings: [],
      })
    response.setHeader('Set-Cookie', 'session=from-the-hub')
    end(response, 200, { from: 'the upstream' })
  }
}

function isInfo(pathname: string): boolean {
  return /^\/api\/models\/org\/[a-z-]+$/.test(pathname)
}

function end(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
}
