import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { applyFault, type Fault, type FaultChooser, type HubRequestSeen } from './faults.ts'
import { type GitRequest, GitServer, parseGitPath } from './git.ts'
import {
  folderOid,
  type HubCommit,
  type HubFile,
  HubRepository,
  pointerOf,
  type RepositoryTraits,
} from './repository.ts'
import { sendContent } from './send.ts'
import { Uploads } from './uploads.ts'
import { reconstruction, sendXetToken, sendXorb } from './xet.ts'

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly fault: Fault | undefined
}

/**
 * A Hub of our own: it answers as hub-protocol.md says the real one does, on two ports, the second
 * being its "CDN" with signed, expiring URLs; it counts what it is asked, and fails on command.
 */
export class StandInHub {
  readonly repositories = new Map<string, HubRepository>()
  /** Old name → new name, with the type's plural in front: `models/old`. */
  readonly renamed = new Map<string, string>()
  /** Tokens that may read private and gated repositories. */
  readonly tokens = new Set<string>(['hf_valid'])
  readonly requests: HubRequestSeen[] = []
  faults: FaultChooser = () => undefined
  treePageSize = 1000
  /** Seconds for which a signed URL holds. */
  signedFor = 3600
  readonly #secret = 'stand-in'
  readonly #git = new GitServer()
  readonly #uploads = new Uploads(this)
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

  async #receive(server: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { server, method: request.method ?? '', url: request.url ?? '', headers: request.headers }
    this.requests.push(seen)
    const fault = this.faults(seen)
    try {
      if (await applyFault(fault, request, response)) return
      const asked = { request, response, url: new URL(request.url ?? '/', this.url), fault }
      response.setHeader('X-Request-Id', `Root=1-${this.requests.length}`)
      if (server === 'cdn') await this.#answerCdn(asked)
      else await this.#answerHub(asked)
    } catch (error) {
      if (!response.headersSent) response.writeHead(500)
      response.end(String(error))
    }
  }

  async #answerHub(asked: Asked): Promise<void> {
    const { request, response, url } = asked
    const segments = url.pathname.slice(1).split('/')
    const git = parseGitPath(url.pathname)
    if (git !== undefined) return await this.#answerGit(asked, git)
    if (url.pathname.endsWith('/info/lfs/objects/batch'))
      return await this.#uploads.batch(request, response, (sha256) => this.#cdnUrlOf(`/xet/${sha256}`))
    if (segments[0] === 'lfs-upload') return await this.#uploads.store(request, response, segments[1] ?? '')
    if (segments[0] === 'api' && segments[1] === 'resolve-cache')
      return await this.#answerFile(asked, segments.slice(2), 'resolve-cache')
    if (segments[0] === 'api') return await this.#answerApi(asked, segments.slice(1))
    const typed = segments[0] === 'datasets' || segments[0] === 'spaces'
    const rest = typed ? segments : ['models', ...segments]
    const operation = ['resolve', 'raw'].find((word) => rest[2] === word || rest[3] === word)
    if (operation !== undefined) return await this.#answerFile(asked, rest, operation)
    refuse(asked.response, 404, undefined, 'Sorry, we can’t find the page you are looking for.')
  }

  async #answerFile(asked: Asked, segments: string[], operation: string): Promise<void> {
    const { request, response, url, fault } = asked
    const cut = operation === 'resolve-cache' ? this.#idLength(segments) + 1 : segments.indexOf(operation, 2)
    const id = segments.slice(1, cut).map(decodeURIComponent).join('/')
    const rest = segments.slice(operation === 'resolve-cache' ? cut : cut + 1)
    const repository = this.#enter(asked, segments[0] ?? '', id)
    if (repository === undefined) return
    const length = rest[0] === 'refs' && rest.length > 3 ? 3 : 1
    const revision = decodeURIComponent(rest.slice(0, length).join('/'))
    const path = decodeURIComponent(rest.slice(length).join('/'))
    const commit = repository.resolve(revision)
    if (commit === undefined) return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`)
    response.setHeader('X-Repo-Commit', commit.id)
    const file = commit.files.get(path)
    if (file === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found')
    if (operation === 'raw' && file.lfs) {
      const pointer = pointerOf(file.content)
      response
        .writeHead(200, { ETag: `"${file.oid}"`, 'Content-Type': 'text/plain; charset=utf-8' })
        .end(request.method === 'HEAD' ? undefined : pointer)
      return
    }
    if (file.lfs) return this.#redirectToCdn(asked, repository, file)
    if (operation === 'resolve') {
      const location = `/api/resolve-cache/${segments[0]}/${id}/${commit.id}/${encodeURIComponent(path).replaceAll('%2F', '/')}?%2F=&etag=%22${file.oid}%22`
      response.writeHead(307, {
        Location: location,
        'Content-Type': 'text/plain; charset=utf-8',
        Vary: 'Origin, Accept',
      })
      response.end(`Temporary Redirect. Redirecting to ${location}`)
      return
    }
    const name = path.slice(path.lastIndexOf('/') + 1)
    const headers = {
      ETag: `"${file.oid}"`,
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}; filename="${name.replaceAll(/[^ -~]|"/g, '?')}";`,
    }
    if (url.pathname !== '' && request.headers['if-none-match'] === headers.ETag) {
      response.writeHead(304, headers).end()
      return
    }
    await sendContent(request, response, file.content, headers, fault)
  }

  #redirectToCdn({ response }: Asked, { traits }: HubRepository, file: HubFile): void {
    const location = this.#cdnUrlOf(`/xet/${file.content.sha256}`)
    const collection = `${traits.type}s`
    response.writeHead(302, {
      Location: location,
      'X-Linked-Size': String(file.content.size),
      'X-Linked-ETag': `"${file.content.sha256}"`,
      'Accept-Ranges': 'bytes',
      ...(traits.xet === true && {
        'X-Xet-Hash': xetHash(file),
        Link: `<${this.url}/api/${collection}/${traits.id}/xet-read-token/main>; rel="xet-auth", <${this.cdnUrl}/v1/reconstructions/${xetHash(file)}>; rel="xet-reconstruction-info"`,
      }),
    })
    response.end(`Found. Redirecting to ${location}`)
  }

  async #answerGit({ request, response, url }: Asked, { id, service }: GitRequest): Promise<void> {
    const [type = '', ...rest] = id.split('/')
    const typed = type === 'datasets' || type === 'spaces'
    const repository = this.repositories.get(typed ? `${type}/${rest.join('/')}` : `models/${id}`)
    if (repository === undefined) return refuse(response, 404, 'RepoNotFound', 'Repository not found')
    await this.#git.answer(request, response, repository, service, url.search.slice(1))
  }

  /** A signed URL at the CDN. */
  #cdnUrlOf(path: string): string {
    const expires = Math.floor(Date.now() / 1000) + this.signedFor
    const signature = createHmac('sha256', this.#secret).update(`${path} ${expires}`).digest('hex')
    return `${this.cdnUrl}${path}?Expires=${expires}&Signature=${signature}`
  }

  /** The CAS server and the xorbs, which in reality are two more hosts. */
  async #answerXet({ request, response, url }: Asked): Promise<void> {
    const [, version, what, hash = '', xorb] = url.pathname.split('/')
    if (what === 'telemetry') return void response.writeHead(200).end()
    // Clients try the second version first, and take 404 for its absence.
    const file = version === 'v2' ? undefined : this.#findLargeFile((one) => xetHash(one) === hash)
    if (file === undefined) return void response.writeHead(404).end()
    if (xorb !== undefined) return await sendXorb(request, response, file.content, Number(xorb))
    const [, start = '0', end = String(file.content.size - 1)] =
      /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    if (Number(start) >= file.content.size) return void response.writeHead(416).end()
    const range = { start: Number(start), end: Math.min(file.content.size, Number(end) + 1) }
    json(
      response,
      reconstruction(file.content, hash, range, (index) => `${this.cdnUrl}/v1/xorbs/${hash}/${index}`),
    )
  }

  async #answerCdn({ request, response, url, fault }: Asked): Promise<void> {
    if (/^\/v\d\//.test(url.pathname)) return await this.#answerXet({ request, response, url, fault })
    const expires = Number(url.searchParams.get('Expires'))
    const signature = createHmac('sha256', this.#secret).update(`${url.pathname} ${expires}`).digest('hex')
    if (url.searchParams.get('Signature') !== signature || expires < Date.now() / 1000) {
      response.writeHead(403).end('Request has expired')
      return
    }
    const sha256 = url.pathname.slice('/xet/'.length)
    const file = this.#findLargeFile(({ content }) => content.sha256 === sha256)
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    await sendContent(
      request,
      response,
      file.content,
      { ETag: `"${xetHash(file)}"`, 'Content-Type': 'application/octet-stream' },
      fault,
    )
  }

  #findLargeFile(isWanted: (file: HubFile) => boolean): HubFile | undefined {
    for (const repository of this.repositories.values()) {
      for (const commit of repository.commits.values()) {
        for (const file of commit.files.values()) if (file.lfs && isWanted(file)) return file
      }
    }
    return undefined
  }

  async #answerApi(asked: Asked, segments: string[]): Promise<void> {
    const { request, response } = asked
    if (segments[0] === 'whoami-v2') {
      if (this.tokens.has(tokenOf(request) ?? ''))
        return json(response, { type: 'user', name: 'founder', auth: { accessToken: { role: 'write' } } })
      return refuse(response, 401, undefined, 'Invalid username or password.')
    }
    if (segments.join('/') === 'repos/create') return json(response, await this.#uploads.createRepository(request))
    if (segments[0] === 'validate-yaml') return json(response, { errors: [], warnings: [] })
    const collection = segments[0] ?? ''
    if (!['models', 'datasets', 'spaces'].includes(collection)) return refuse(response, 404, undefined, 'Not found')
    if (segments.length === 1)
      return json(
        response,
        [...this.repositories.values()]
          .filter(({ traits }) => `${traits.type}s` === collection)
          .map(({ traits }) => ({ id: traits.id })),
      )
    const idLength = this.#idLength(segments)
    const repository = this.#enter(asked, collection, segments.slice(1, idLength + 1).join('/'))
    if (repository === undefined) return
    const [operation = 'info', encoded = 'main', ...rest] = segments.slice(idLength + 1)
    if (operation === 'refs') return json(response, refsOf(repository))
    if (operation === 'auth-check') return void response.writeHead(200).end()
    const revision = decodeURIComponent(operation === 'info' ? 'main' : encoded)
    if (operation === 'preupload') return json(response, await this.#uploads.choose(request))
    if (operation === 'commit') return json(response, await this.#uploads.commit(request, repository, revision))
    const commit = repository.resolve(revision)
    if (commit === undefined) return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`)
    switch (operation) {
      case 'xet-read-token':
        return sendXetToken(response, this.cdnUrl)
      case 'info':
      case 'revision':
        return json(response, this.#info(repository, commit, asked.url))
      case 'tree':
        return this.#tree(asked, repository, commit, decodeURIComponent(rest.join('/')))
      case 'paths-info':
        return json(response, await pathsInfo(request, repository, commit))
      case 'commits':
        return json(response, history(commit))
      default:
        return refuse(response, 404, undefined, 'Not found')
    }
  }

  /** Segments of the id that begins at index 1: two if such a repository, old or new, has that name. */
  #idLength(segments: string[]): number {
    const two = `${segments[0]}/${segments[1]}/${segments[2]}`
    const operations = [
      'resolve',
      'raw',
      'revision',
      'tree',
      'paths-info',
      'refs',
      'commits',
      'auth-check',
      'xet-read-token',
      'treesize',
      'preupload',
      'commit',
    ]
    if (this.repositories.has(two) || this.renamed.has(two)) return 2
    if (this.repositories.has(`${segments[0]}/${segments[1]}`)) return 1
    return segments.length === 2 || operations.includes(segments[2] ?? '') || /^[0-9a-f]{40}$/.test(segments[2] ?? '')
      ? 1
      : 2
  }

  /** The repository, if it exists and the token may read it; otherwise the refusal is sent. */
  #enter({ request, response, url }: Asked, collection: string, id: string): HubRepository | undefined {
    const newName = this.renamed.get(`${collection}/${id}`)
    if (newName !== undefined) {
      response.writeHead(307, { Location: url.pathname.replace(id, newName) + url.search }).end()
      return undefined
    }
    const token = tokenOf(request)
    const known = token !== undefined && this.tokens.has(token)
    if (token !== undefined && !known) {
      refuse(response, 401, undefined, 'Invalid credentials in Authorization header')
      return undefined
    }
    const repository = this.repositories.get(`${collection}/${id}`)
    if (repository === undefined || (repository.traits.private === true && !known)) {
      if (known) refuse(response, 404, 'RepoNotFound', 'Repository not found')
      else refuse(response, 401, 'RepoNotFound', 'Invalid username or password.')
      return undefined
    }
    const isMetadata =
      url.pathname.startsWith('/api/') &&
      !url.pathname.startsWith('/api/resolve-cache') &&
      !url.pathname.endsWith('/auth-check')
    if (repository.traits.gated === true && !known && !isMetadata) {
      refuse(
        response,
        401,
        'GatedRepo',
        `Access to ${repository.traits.type} ${id} is restricted. You must have access to it and be authenticated to access it. Please log in.`,
      )
      return undefined
    }
    return repository
  }

  #info({ traits }: HubRepository, commit: HubCommit, url: URL): object {
    const blobs = url.searchParams.get('blobs') !== null
    return {
      _id: '64b000000000000000000000',
      id: traits.id,
      ...(traits.type === 'model' && {
        modelId: traits.id,
        pipeline_tag: 'sentence-similarity',
        library_name: 'transformers',
      }),
      author: traits.id.split('/')[0],
      sha: commit.id,
      private: traits.private ?? false,
      gated: traits.gated === true ? 'auto' : false,
      disabled: false,
      tags: ['transformers', 'safetensors'],
      downloads: 12,
      likes: 3,
      createdAt: '2026-01-01T00:00:00.000Z',
      lastModified: commit.date,
      siblings: [...commit.files.values()].map((file) => ({
        rfilename: file.path,
        ...(blobs && {
          size: file.content.size,
          blobId: file.oid,
          ...(file.lfs && {
            lfs: { sha256: file.content.sha256, size: file.content.size, pointerSize: pointerOf(file.content).length },
          }),
        }),
      })),
      ...traits.info,
    }
  }

  #tree({ response, url }: Asked, repository: HubRepository, commit: HubCommit, folder: string): void {
    const recursive = ['true', '1', 'True'].includes(url.searchParams.get('recursive') ?? '')
    const prefix = folder === '' ? '' : `${folder}/`
    const folders = foldersOf(commit)
    if (folder !== '' && !folders.includes(folder)) {
      refuse(response, 404, 'EntryNotFound', `${folder} does not exist on "${commit.id}"`)
      return
    }
    const inside = (path: string) => path.startsWith(prefix) && (recursive || !path.slice(prefix.length).includes('/'))
    const entries = [
      ...folders.filter(inside).map((path) => ({ type: 'directory', oid: folderOid(commit, path), size: 0, path })),
      ...[...commit.files.values()].filter((file) => inside(file.path)).map((file) => entryOf(repository, file)),
    ]
    const limit = Math.min(this.treePageSize, Number(url.searchParams.get('limit') ?? this.treePageSize))
    const start = Number(Buffer.from(url.searchParams.get('cursor') ?? '', 'base64').toString() || 0)
    response.setHeader('X-Repo-Commit', commit.id)
    if (start + limit < entries.length) {
      const next = new URL(url)
      next.searchParams.set('cursor', Buffer.from(String(start + limit)).toString('base64'))
      response.setHeader('Link', `<${next.href}>; rel="next"`)
    }
    json(response, entries.slice(start, start + limit))
  }
}

function entryOf({ traits }: HubRepository, file: HubFile): object {
  return {
    type: 'file',
    oid: file.oid,
    size: file.content.size,
    path: file.path,
    ...(file.lfs && {
      lfs: { oid: file.content.sha256, size: file.content.size, pointerSize: pointerOf(file.content).length },
    }),
    ...(file.lfs && traits.xet === true && { xetHash: xetHash(file) }),
  }
}

function foldersOf(commit: HubCommit): string[] {
  const folders = new Set<string>()
  for (const path of commit.files.keys()) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1))
      folders.add(path.slice(0, slash))
  }
  return [...folders].sort()
}

async function pathsInfo(request: IncomingMessage, repository: HubRepository, commit: HubCommit): Promise<object[]> {
  const body = await text(request)
  const isJson = (request.headers['content-type'] ?? '').includes('json')
  const paths: string[] = isJson ? JSON.parse(body).paths : new URLSearchParams(body).getAll('paths')
  const folders = foldersOf(commit)
  return paths.flatMap((path): object[] => {
    const file = commit.files.get(path)
    if (file !== undefined) return [entryOf(repository, file)]
    return folders.includes(path) ? [{ type: 'directory', oid: folderOid(commit, path), size: 0, path }] : []
  })
}

function refsOf(repository: HubRepository): object {
  const list = (refs: ReadonlyMap<string, string>, prefix: string) =>
    [...refs].map(([name, targetCommit]) => ({ name, ref: prefix + name, targetCommit }))
  const others = [...repository.otherRefs].map(([ref, targetCommit]) => ({ name: ref, ref, targetCommit }))
  return {
    branches: list(repository.branches, 'refs/heads/'),
    tags: list(repository.tags, 'refs/tags/'),
    converts: others.filter(({ ref }) => ref.startsWith('refs/convert/')),
    pullRequests: others.filter(({ ref }) => ref.startsWith('refs/pr/')),
  }
}

function history(commit: HubCommit): object[] {
  const commits: object[] = []
  for (let at: HubCommit | undefined = commit; at !== undefined; at = at.parent) {
    commits.push({ id: at.id, title: at.title, message: '', date: at.date, authors: [{ user: 'founder', avatar: '' }] })
  }
  return commits
}

function xetHash(file: HubFile): string {
  return createHmac('sha256', 'xet').update(file.content.sha256).digest('hex')
}

function tokenOf(request: IncomingMessage): string | undefined {
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
}

function json(response: ServerResponse, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  response
    .writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length })
    .end(body)
}

function refuse(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  const headers = {
    'Content-Type': 'application/json',
    'X-Error-Message': message.replaceAll(/[^ -~]/g, "'"),
    ...(code !== undefined && { 'X-Error-Code': code }),
  }
  response.writeHead(status, headers).end(JSON.stringify({ error: message }))
}
