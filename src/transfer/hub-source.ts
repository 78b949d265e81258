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
import { explainRefusal, HubUnreachable } from './hub-failure.ts'
import type { PartMemory } from './part-memory.ts'

/** A repository of this many tree pages would have ten million files; a list that long is a loop. */
const mostTreePages = 10_000

interface DescribeOptions {
  readonly signal: AbortSignal
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
      isCommit(name) ? undefined : this.#ref(repository, name, commit, signal),
      this.#commits(repository, commit, signal),
    ])
    return {
      commit,
      ...(ref === undefined ? {} : { ref }),
      ...dateOf(info.headers.date),
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
    { signal }: DescribeOptions,
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
        },
        start,
      )
  }

  /** The refs as they are at the Hub now. */
  async refs(repository: Repository, { signal }: DescribeOptions): Promise<HubRefs> {
    const path = formatHubPath({ operation: 'refs', repository })
    return (await this.#fetch(repository, 'refs', path, refsSchema, signal)).body
  }

  /** The ref of this name; `undefined` where it is no ref but the beginning of the commit's id. */
  async #ref(
    repository: Repository,
    name: string,
    commit: string,
    signal: AbortSignal,
  ): Promise<{ name: string; kind: RefKind } | undefined> {
    if (name.startsWith('refs/pr/')) return { name, kind: 'pull-request' }
    if (name.startsWith('refs/convert/')) return { name, kind: 'convert' }
    const refs = await this.refs(repository, { signal })
    if (refs.tags.some((tag) => tag.name === name)) return { name, kind: 'tag' }
    const isBranch = refs.branches.some((branch) => branch.name === name)
    return commit.startsWith(name) && !isBranch ? undefined : { name, kind: 'branch' }
  }

  async #commits(repository: Repository, commit: string, signal: AbortSignal): Promise<HubCommits> {
    const path = formatHubPath({ operation: 'commits', repository, revision: commit })
    return (await this.#fetch(repository, commit, path, commitsSchema, signal)).body
  }

  async #tree(repository: Repository, commit: string, signal: AbortSignal): Promise<TreeEntry[]> {
    const entries: TreeEntry[] = []
    const path = formatHubPath({ operation: 'tree', repository, revision: commit, path: '' })
    let next: string | undefined = `${this.#client.endpoint}${path}?recursive=true&expand=false`
    for (let pages = 0; next !== undefined; pages++) {
      if (pages === mostTreePages) throw new HubUnreachable(this.origin, 'its list of files does not end')
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
        throw new HubUnreachable(
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
      throw new HubUnreachable(
        this.origin,
        `its answer for ${new URL(url).pathname} is not understood: ${z.prettifyError(parsed.error).split('\n', 1)[0]}`,
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

/** The Hub's clock, from the `Date` header. */
function dateOf(header: string | string[] | undefined): { saidAt?: Date } {
  const time = Date.parse([header].flat()[0] ?? '')
  return Number.isNaN(time) ? {} : { saidAt: new Date(time) }
}
