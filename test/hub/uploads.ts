import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer, json, text } from 'node:stream/consumers'
import { bytesContent, type Content } from './content.ts'
import { type HubRepository, isLarge } from './repository.ts'
import type { StandInHub } from './stand-in-hub.ts'

interface LfsObject {
  readonly oid: string
  readonly size: number
}

/** What clients send to make a repository and a commit (`hf upload`), and Git LFS to fetch and store. */
export class Uploads {
  readonly #hub: StandInHub
  readonly #stored = new Map<string, Content>()

  constructor(hub: StandInHub) {
    this.#hub = hub
  }

  /** `POST /api/repos/create`. */
  async createRepository(request: IncomingMessage): Promise<{ url: string; id: string }> {
    const body = (await json(request)) as { name: string; organization?: string; type?: 'model' | 'dataset' | 'space' }
    const id = `${body.organization ?? 'founder'}/${body.name}`
    const type = body.type ?? 'model'
    if (!this.#hub.repositories.has(`${type}s/${id}`))
      this.#hub.add({ type, id }).commit({}, { title: 'initial commit' })
    return { url: `${this.#hub.url}/${type === 'model' ? '' : `${type}s/`}${id}`, id }
  }

  /** `POST …/preupload/{revision}`: which files go by LFS. */
  async choose(request: IncomingMessage): Promise<object> {
    const { files } = (await json(request)) as { files: { path: string; size: number }[] }
    return {
      files: files.map(({ path, size }) => ({
        path,
        uploadMode: isLarge(path, size) ? 'lfs' : 'regular',
        shouldIgnore: false,
      })),
    }
  }

  /** `POST …/commit/{revision}`: lines of JSON. */
  async commit(request: IncomingMessage, repository: HubRepository, branch: string): Promise<object> {
    const files: Record<string, Buffer | Content> = Object.fromEntries(
      [...(repository.resolve(branch)?.files.values() ?? [])].map(({ path, content }) => [path, content]),
    )
    let title = ''
    for (const line of (await text(request)).split('\n')) {
      if (line.trim() === '') continue
      const { key, value } = JSON.parse(line)
      if (key === 'header') title = value.summary
      else if (key === 'file') files[value.path] = Buffer.from(value.content, value.encoding ?? 'utf8')
      else if (key === 'lfsFile') {
        const stored = this.#stored.get(value.oid)
        if (stored === undefined) throw new Error(`${value.path} was not uploaded`)
        files[value.path] = stored
      } else throw new Error(`cannot commit ${key}`)
    }
    const commitOid = repository.commit(files, { branch, title })
    return {
      success: true,
      commitOid,
      commitUrl: `${this.#hub.url}/${repository.traits.id}/commit/${commitOid}`,
      hookOutput: '',
    }
  }

  /** `POST {repository}.git/info/lfs/objects/batch` (git-lfs api/batch.md). */
  async batch(request: IncomingMessage, response: ServerResponse, urlOf: (sha256: string) => string): Promise<void> {
    const { operation, objects } = (await json(request)) as { operation: 'download' | 'upload'; objects: LfsObject[] }
    const answer = {
      transfer: 'basic',
      objects: objects.map(({ oid, size }) => ({
        oid,
        size,
        authenticated: true,
        ...(operation === 'download' && { actions: { download: { href: urlOf(oid) } } }),
        ...(operation === 'upload' &&
          !this.#stored.has(oid) && { actions: { upload: { href: `${this.#hub.url}/lfs-upload/${oid}` } } }),
      })),
    }
    response.writeHead(200, { 'Content-Type': 'application/vnd.git-lfs+json' }).end(JSON.stringify(answer))
  }

  /** `PUT /lfs-upload/{sha256}`. */
  async store(request: IncomingMessage, response: ServerResponse, sha256: string): Promise<void> {
    const content = bytesContent(await buffer(request))
    if (content.sha256 === sha256) this.#stored.set(sha256, content)
    response.writeHead(content.sha256 === sha256 ? 200 : 422).end()
  }
}
