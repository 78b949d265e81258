import LinkHeader from 'http-link-header'
import { z } from 'zod'
import {
  commitsSchema,
  encodeFilePath,
  formatTarget,
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
import { fetchJson, type HubClient, type HubHeaders, type Refuse } from './hub-client.ts'
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
    const infoTarget = formatTarget({ operation: 'info', repository, revision: name }, 'blobs=true')
    const info = await this.#fetch(repository, revision, infoTarget.canonical, repositoryInfoSchema, signal)
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
    { signal }: DescribeOptions,
  ): (start: number) => AsyncIterable<Buffer> {
    const { canonical } = formatTarget({ operation: 'resolve', repository, revision: commit, path: file.path })
    const refuse: Refuse = (status, headers) => explainRefusal(repository, commit, status, headers)
    return (start) =>
      downloadFile(
        {
          client: this.#client,
          place: new DownloadPlace(canonical),
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
    const path = formatTarget({ operation: 'refs', repository }).canonical
    return (await this.#fetch(repository, 'refs', path, refsSchema, signal)).body
  }

  async #ref(repository: Repository, name: string, signal: AbortSignal): Promise<{ name: string; kind: RefKind }> {
    if (name.startsWith('refs/pr/')) return { name, kind: 'pull-request' }
    if (name.startsWith('refs/convert/')) return { name, kind: 'convert' }
    const refs = await this.refs(repository, { signal })
    return { name, kind: refs.tags.some((tag) => tag.name === name) ? 'tag' : 'branch' }
  }

  async #commits(repository: Repository, commit: string, signal: AbortSignal): Promise<HubCommits> {
    const path = formatTarget({ operation: 'commits', repository, revision: commit }).canonical
    return (await this.#fetch(repository, commit, path, commitsSchema, signal)).body
  }

  async #tree(repository: Repository, commit: string, signal: AbortSignal): Promise<TreeEntry[]> {
    const entries: TreeEntry[] = []
    const first = formatTarget(
      { operation: 'tree', repository, revision: commit, path: '' },
      'recursive=true&expand=false',
    )
    let next: string | undefined = first.canonical
    for (let pages = 0; next !== undefined; pages++) {
      if (pages === mostTreePages) throw new HubUnreachable(this.origin, 'its list of files does not end')
      const { body, headers }: { body: TreeEntry[]; headers: HubHeaders } = await this.#fetch(
        repository,
        commit,
        next,
        treePageSchema,
        signal,
      )
      entries.push(...body)
      const link = nextPage(headers.link)
      next = link === undefined ? undefined : this.#client.linked(link, next)
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

  async #fetch<T>(repository: Repository, revision: string, place: string, schema: z.ZodType<T>, signal: AbortSignal) {
    const { body, headers } = await fetchJson(this.#client, place, signal, (status, answer) =>
      explainRefusal(repository, revision, status, answer),
    )
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      throw new HubUnreachable(
        this.origin,
        `its answer for ${new URL(place, this.origin).pathname} is not understood: ${z.prettifyError(parsed.error).split('\n', 1)[0]}`,
      )
    }
    return { body: parsed.data, headers }
  }
}

/** The URL of the next page, as the Hub wrote it. */
function nextPage(link: string | undefined): string | undefined {
  return link === undefined ? undefined : LinkHeader.parse(link).rel('next')[0]?.uri
}
