import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Accounts, mayWrite, tokenOf } from './accounts.ts'
import { answerApi, operations } from './api.ts'
import { type Asked, Refusal, sendJson, sendRefusal } from './asked.ts'
import { Cdn } from './cdn.ts'
import { setCors } from './cors.ts'
import { applyFault, type FaultChooser, type HubRequestSeen } from './faults.ts'
import { answerFile } from './files.ts'
import { GitServer, parseGitPath } from './git.ts'
import { answerLfs, LargeFileStore } from './large-files.ts'
import { type HubFile, HubRepository, type RepositoryTraits } from './repository.ts'

/**
 * A Hub of our own: it answers as hub-protocol.md says the real one does, on two ports, the second
 * being its "CDN" with signed, expiring URLs; it counts what it is asked, and fails on command.
 */
export class StandInHub {
  readonly collections = ['models', 'datasets', 'spaces', 'kernels']
  readonly repositories = new Map<string, HubRepository>()
  /** Old name → new name, with the type's plural in front: `models/old`. */
  readonly renamed = new Map<string, string>()
  /** Access tokens; those added without an account may read and write everything. */
  readonly tokens = new Accounts().add('hf_valid')
  readonly requests: HubRequestSeen[] = []
  readonly largeFiles = new LargeFileStore()
  readonly cdn = new Cdn(this)
  faults: FaultChooser = () => undefined
  treePageSize = 1000
  /** Seconds for which a signed URL holds. */
  signedFor = 3600
  readonly #git = new GitServer()
  #hub: Server | undefined
  #cdn: Server | undefined
  #ports = { hub: 0, cdn: 0 }
  #host = '127.0.0.1'
  /** Another host than the Hub's, as in reality: clients follow redirects on one host by themselves. */
  readonly #cdnHost = '127.0.0.2'

  get url(): string {
    return `http://${this.#host}:${this.#ports.hub}`
  }

  get cdnUrl(): string {
    return `http://${this.#cdnHost}:${this.#ports.cdn}`
  }

  async start(options: { host?: string; port?: number } = {}): Promise<this> {
    this.#host = options.host ?? this.#host
    this.#hub = createServer((request, response) => void this.#receive('hub', request, response))
    this.#cdn = createServer((request, response) => void this.#receive('cdn', request, response))
    this.#hub.listen(options.port ?? this.#ports.hub, this.#host)
    this.#cdn.listen(this.#ports.cdn, this.#cdnHost)
    await Promise.all([once(this.#hub, 'listening'), once(this.#cdn, 'listening')])
    this.#ports = { hub: (this.#hub.address() as AddressInfo).port, cdn: (this.#cdn.address() as AddressInfo).port }
    return this
  }

  /** Switches it off; `start` brings it back on the same ports. */
  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      if (server?.listening !== true) continue
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
    await this.#git.close()
  }

  add(traits: RepositoryTraits): HubRepository {
    const repository = new HubRepository(traits)
    this.repositories.set(`${traits.type}s/${traits.id}`, repository)
    return repository
  }

  requestsOf(server: 'hub' | 'cdn'): HubRequestSeen[] {
    return this.requests.filter((request) => request.server === server)
  }

  /** The repository of that name, in any case. */
  find(collection: string, id: string): HubRepository | undefined {
    const exact = this.repositories.get(`${collection}/${id}`)
    if (exact !== undefined) return exact
    const lower = `${collection}/${id}`.toLowerCase()
    return [...this.repositories].find(([key]) => key.toLowerCase() === lower)?.[1]
  }

  findLargeFile(wanted: string | ((file: HubFile) => boolean)): HubFile | undefined {
    const isWanted = typeof wanted === 'string' ? ({ content }: HubFile) => content.sha256 === wanted : wanted
    for (const repository of this.repositories.values()) {
      for (const commit of repository.commits.values()) {
        for (const file of commit.files.values()) if (file.lfs && isWanted(file)) return file
      }
    }
    return undefined
  }

  /** Segments of the id that begins at index 1: two if such a repository, old or new, has that name. */
  idLength(segments: readonly string[]): number {
    const [collection = '', one = '', two = ''] = segments.map(decodeURIComponent)
    if (this.find(collection, `${one}/${two}`) !== undefined || this.renamed.has(`${collection}/${one}/${two}`))
      return 2
    if (this.find(collection, one) !== undefined) return 1
    const isOperation = two.toLowerCase() in operations || ['resolve', 'raw'].includes(two.toLowerCase())
    return segments.length === 2 || isOperation || /^[0-9a-f]{40}$/.test(two) ? 1 : 2
  }

  async #receive(server: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = {
      server,
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      at: Date.now(),
    }
    this.requests.push(seen)
    const fault = this.faults(seen)
    try {
      if (await applyFault(fault, request, response)) return
      // Two slashes at the beginning are one to the Hub; to URL they would begin a host.
      const url = new URL((request.url ?? '/').replace(/^\/{2,}/, '/'), this.url)
      const asked = { hub: this, request, response, url, fault, account: this.tokens.of(request) }
      response.setHeader('X-Request-Id', requestIdOf(request, this.requests.length))
      if (server === 'cdn') await this.cdn.answer(asked)
      else if (!setCors(asked)) await this.#answerHub(asked)
    } catch (error) {
      if (error instanceof Refusal && !response.headersSent) return sendRefusal(response, error)
      if (!response.headersSent) response.writeHead(500)
      response.end(String(error))
    }
  }

  async #answerHub(asked: Asked): Promise<void> {
    const { request, response, url } = asked
    const segments = url.pathname.slice(1).split('/')
    const [first = '', second] = segments.map((segment) => segment.toLowerCase())
    const isCached = first === 'api' && second === 'resolve-cache'
    if (first === 'api' && !isCached) return await answerApi(asked, segments.slice(1))
    const isTyped = this.collections.includes(first)
    const [collection = '', ...rest] = isCached ? segments.slice(2) : isTyped ? segments : ['models', ...segments]
    const git = parseGitPath(url.pathname.slice(isTyped ? first.length + 1 : 0))
    if (git !== undefined) {
      const repository = this.enter(asked, collection.toLowerCase(), git.id)
      if (repository === undefined) return
      if (git.service.includes('lfs'))
        return sendJson(response, await answerLfs(asked, repository, git.service), response.statusCode)
      return await this.#git.answer(request, response, repository, git.service, url.search.slice(1))
    }
    const length = this.idLength([collection.toLowerCase(), ...rest])
    const operation = isCached ? 'resolve-cache' : (rest[length]?.toLowerCase() ?? '')
    if (!['resolve', 'raw', 'resolve-cache'].includes(operation))
      throw new Refusal(404, undefined, 'Sorry, we can’t find the page you are looking for.')
    const repository = this.enter(
      asked,
      collection.toLowerCase(),
      rest.slice(0, length).map(decodeURIComponent).join('/'),
    )
    if (repository === undefined) return
    await answerFile(asked, repository, operation, rest.slice(isCached ? length : length + 1))
  }

  /** The repository that a request is about; a redirect is sent where its name is another, a refusal thrown. */
  enter({ account, request, response, url }: Asked, collection: string, id: string): HubRepository | undefined {
    if (tokenOf(request) !== undefined && account === undefined)
      throw new Refusal(401, undefined, 'Invalid credentials in Authorization header')
    const newName = this.renamed.get(`${collection}/${id}`)
    const repository = this.find(collection, newName ?? id)
    const mayRead = account !== undefined && mayWrite(account, repository?.traits.id ?? id)
    if (repository === undefined || (repository.traits.private === true && !mayRead))
      throw account === undefined
        ? new Refusal(401, 'RepoNotFound', 'Invalid username or password.')
        : new Refusal(404, 'RepoNotFound', 'Repository not found')
    const { traits } = repository
    if (traits.id !== id) {
      response.writeHead(307, { Location: url.pathname.replace(id, traits.id) + url.search }).end()
      return undefined
    }
    const isMetadata = /^\/api\/(?!resolve-cache)/i.test(url.pathname) && !url.pathname.endsWith('/auth-check')
    const isGranted = mayRead || repository.accessRequests.get(account?.name ?? '') === 'accepted'
    if ((traits.gated ?? false) !== false && !isGranted && !isMetadata)
      throw new Refusal(
        account === undefined ? 401 : 403,
        'GatedRepo',
        account === undefined
          ? `Access to ${traits.type} ${id} is restricted. You must have access to it and be authenticated to access it. Please log in.`
          : `Access to ${traits.type} ${id} is restricted and you are not in the authorized list. Visit ${this.url}/${repository.path} to ask for access.`,
      )
    return repository
  }
}

/** The client's own id where it sent one; the load balancer's, made from the client's trace, otherwise. */
function requestIdOf({ headers }: IncomingMessage, count: number): string {
  const own = headers['x-request-id']
  if (typeof own === 'string') return own
  const trace = headers['x-amzn-trace-id']
  return trace === undefined ? `Root=1-${count}` : `Root=1-${count};${trace}`
}
