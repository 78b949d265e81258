import LinkHeader from 'http-link-header'
import { z } from 'zod'
import {
  commitsSchema,
  encodeFilePath,
  formatHubPath,
  type HubCommits,
  type HubRefs,
  isCommit,
  isFilePath,
  type RefKind,
  type Repository,
  type RevisionListing,
  refsSchema,
  repositoryInfoSchema,
  shortRevision,
  type TreeEntry,
  treePageSchema,
} from '../hub/index.ts'
import { DownloadPlace, downloadFile } from './download.ts'
import type { HubClient } from './hub-client.ts'
import { explainRefusal, mayLackOperation, UnusableResponse } from './hub-failure.ts'
import type { PartMemory } from './part-memory.ts'

/** A repository of this many tree pages would have ten million files; a list that long is a loop. */
const mostTreePages = 10_000

interface DescribeOptions {
  readonly signal: AbortSignal
}

interface OpenOptions extends DescribeOptions {
  /** Called as bytes arrive, with their number. */
  readonly onReceived?: (bytes: number) => void
}

/** Repositories as the Hub gives them. */
export class HubSource {
  readonly origin: string
  readonly #client: HubClient
  readonly #memory: PartMemory

  constructor(client: HubClient, memory: PartMemory) {
    this.origin = client.endpoint
    this.#client = client
    this.#memory = memory
  }

  async describe(repository: Repository, revision: string, { signal }: DescribeOptions): Promise<RevisionListing> {
    const name = shortRevision(revision)
    const infoPath = formatHubPath({ operation: 'info', repository, revision: name })
    const info = await this.#fetch(repository, revision, `${infoPath}?blobs=true`, repositoryInfoSchema, signal)
    const commit = info.body.sha
    const [entries, ref, commits] = await Promise.all([
      this.#tree(repository, commit, signal),
      isCommit(name) || commit.startsWith(name) ? undefined : this.#ref(repository, name, signal),
      this.#commits(repository, commit, signal),
    ])
    return {
      commit,
      ...(ref === undefined ? {} : { ref }),
      info: info.body,
      commits,
      files: entries.filter((entry) => entry.type === 'file'),
      directories: entries.filter((entry) => entry.type === 'directory'),
    }
  }

  open(
    repository: Repository,
    commit: string,
    file: TreeEntry,
    { signal, onReceived }: OpenOptions,
  ): (start: number) => AsyncIterable<Buffer> {
    const path = formatHubPath({ operation: 'resolve', repository, revision: commit, path: file.path })
    const refuse = (status: number, headers: Record<string, string | string[] | undefined>) =>
      explainRefusal(repository, commit, status, headers)
    return (start) =>
      downloadFile(
        {
          client: this.#client,
          place: new DownloadPlace(this.#client.endpoint + path),
          size: file.size,
          memory: this.#memory,
          refuse,
          signal,
          onReceived,
        },
        start,
      )
  }

  /** The commit that a revision is at now; without one, the repository's main branch. */
  async commitOf(repository: Repository, revision: string | undefined, { signal }: DescribeOptions): Promise<string> {
    const at = revision === undefined ? {} : { revision: shortRevision(revision) }
    const path = formatHubPath({ operation: 'info', repository, ...at })
    return (await this.#fetch(repository, revision ?? 'main', path, repositoryInfoSchema, signal)).body.sha
  }

  /** The refs as they are at the Hub now; `undefined` where the upstream has the repository and lists no refs. */
  async refs(repository: Repository, { signal }: DescribeOptions): Promise<HubRefs | undefined> {
    const path = formatHubPath({ operation: 'refs', repository })
    try {
      return (await this.#fetch(repository, 'refs', path, refsSchema, signal)).body
    } catch (error) {
      if (!mayLackOperation(error)) throw error
      await this.commitOf(repository, undefined, { signal }) // rejects if it is the repository that is missing
      return undefined
    }
  }

  async #ref(repository: Repository, name: string, signal: AbortSignal): Promise<{ name: string; kind: RefKind }> {
    if (name.startsWith('refs/pr/')) return { name, kind: 'pull-request' }
    if (name.startsWith('refs/convert/')) return { name, kind: 'convert' }
    const refs = await this.refs(repository, { signal })
    // Without a list it is taken for what most refs are.
    return { name, kind: refs?.tags.some((tag) => tag.name === name) === true ? 'tag' : 'branch' }
  }

  async #commits(repository: Repository, commit: string, signal: AbortSignal): Promise<HubCommits> {
    const path = formatHubPath({ operation: 'commits', repository, revision: commit })
    // Where there is none, the server passes the question on.
    const none = (error: unknown): { body: HubCommits } => {
      if (mayLackOperation(error)) return { body: [] }
      throw error
    }
    return (await this.#fetch(repository, commit, path, commitsSchema, signal).catch(none)).body
  }

  async #tree(repository: Repository, commit: string, signal: AbortSignal): Promise<TreeEntry[]> {
    const entries: TreeEntry[] = []
    const path = formatHubPath({ operation: 'tree', repository, revision: commit, path: '' })
    let next: string | undefined = `${this.#client.endpoint}${path}?recursive=true&expand=false`
    for (let pages = 0; next !== undefined; pages++) {
      if (pages === mostTreePages) throw new UnusableResponse(this.origin, 'its list of files does not end')
      const page: { body: TreeEntry[]; headers: Record<string, string | string[] | undefined> } = await this.#fetch(
        repository,
        commit,
        next,
        treePageSchema,
        signal,
      )
      entries.push(...page.body)
      next = nextPage(page.headers.link, next)
    }
    for (const entry of entries) {
      if (!isFilePath(entry.path)) {
        throw new UnusableResponse(
          this.origin,
          `it lists a path that cannot be mirrored: ${encodeFilePath(entry.path.toWellFormed()).slice(0, 200)}`,
        )
      }
    }
    return entries
  }

  async #fetch<T>(repository: Repository, revision: string, path: string, schema: z.ZodType<T>, signal: AbortSignal) {
    const url = path.startsWith('/') ? this.#client.endpoint + path : path
    const { body, headers } = await this.#client.json(url, signal, (status, answer) =>
      explainRefusal(repository, revision, status, answer),
    )
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      throw new UnusableResponse(
        this.origin,
        `${new URL(url).pathname}: ${z.prettifyError(parsed.error).split('\n', 1)[0]}`,
      )
    }
    return { body: parsed.data, headers }
  }
}

/** The next page's URL, which must be at the same server as this one. */
function nextPage(link: string | string[] | undefined, current: string): string | undefined {
  if (link === undefined) return undefined
  const [next] = LinkHeader.parse([link].flat().join(', ')).rel('next')
  if (next === undefined) return undefined
  const target = new URL(next.uri, current)
  const here = new URL(current)
  // The Hub writes its public name into the link; behind a proxy that is not the name we asked.
  return `${here.origin}${target.pathname}${target.search}`
}
