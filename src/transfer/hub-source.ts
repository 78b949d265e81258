import LinkHeader from 'http-link-header'
import { z } from 'zod'
import {
  commitsSchema,
  encodeFilePath,
  formatTarget,
  type HubCommits,
  HubFailure,
  type HubRefs,
  isCommit,
  isFilePath,
  ListingTooLarge,
  type Repository,
  type RevisionListing,
  type RevisionPlace,
  refsSchema,
  repositoryInfoSchema,
  shortRevision,
  sizeOfEntry,
  type TreeEntry,
  treePageSchema,
} from '../hub/index.ts'
import { DownloadPlace, downloadFile } from './download.ts'
import { fetchJson, type HubClient, type HubHeaders, type Refuse } from './hub-client.ts'
import { explainRefusal, mayLackOperation, UnusableResponse } from './hub-failure.ts'
import type { PartMemory } from './part-memory.ts'

/** A repository of this many tree pages would have ten million files; a list that long is a loop. */
const mostTreePages = 10_000

interface AskOptions {
  readonly signal: AbortSignal
}

interface DescribeOptions extends AskOptions {
  /** Bytes that the listing, and each answer that it is made of, may take; it rejects with {@link ListingTooLarge}. */
  readonly memory?: number
}

interface OpenOptions extends AskOptions {
  /** Called as bytes arrive, with their number. */
  readonly onReceived?: (bytes: number) => void
}

/** What is left of a repository's info by `expand[]=sha`, or nothing. */
const shaSchema = z.object({ sha: repositoryInfoSchema.shape.sha.optional() })

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

  async describe(repository: Repository, revision: string, options: DescribeOptions): Promise<RevisionListing> {
    const name = shortRevision(revision)
    const infoTarget = formatTarget({ operation: 'info', repository, revision: name }, 'blobs=true')
    const { body, headers } = await this.#fetch(
      repository,
      revision,
      infoTarget.canonical,
      repositoryInfoSchema,
      options,
    )
    // The tree tells more of the files, and both of them take much memory.
    const { siblings: _, ...info } = body
    const commit = info.sha
    const [entries, ref, commits] = await Promise.all([
      this.#tree(repository, commit, options),
      this.#ref(repository, name, commit, options),
      this.#commits(repository, commit, options),
    ])
    return {
      commit,
      ...(ref === undefined ? {} : { ref }),
      ...dateOf(headers.date),
      info,
      commits,
      files: entries.filter((entry) => entry.type === 'file'),
      directories: entries.filter((entry) => entry.type === 'directory'),
    }
  }

  /** Where a revision is, for little: its files are not listed. */
  async locate(repository: Repository, revision: string, options: AskOptions): Promise<RevisionPlace> {
    const name = shortRevision(revision)
    const place = formatTarget({ operation: 'info', repository, revision: name }, 'expand[]=sha').canonical
    // Not every mirror takes the question for one field.
    const said = await this.#fetch(repository, revision, place, shaSchema, options).catch(ignoreBadQuestion)
    const commit = said?.body.sha ?? (await this.commitOf(repository, revision, options))
    const ref = await this.#ref(repository, name, commit, options)
    return { commit, ...(ref === undefined ? {} : { ref }), ...dateOf(said?.headers.date) }
  }

  open(
    repository: Repository,
    commit: string,
    file: TreeEntry,
    { signal, onReceived }: OpenOptions,
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
          onReceived,
        },
        start,
      )
  }

  /** The commit that a revision is at now; without one, the repository's main branch. */
  async commitOf(repository: Repository, revision: string | undefined, options: AskOptions): Promise<string> {
    const at = revision === undefined ? {} : { revision: shortRevision(revision) }
    const path = formatTarget({ operation: 'info', repository, ...at }).canonical
    return (await this.#fetch(repository, revision ?? 'main', path, repositoryInfoSchema, options)).body.sha
  }

  /** The refs as they are at the Hub now; `undefined` where the upstream has the repository and lists no refs. */
  async refs(repository: Repository, options: AskOptions): Promise<HubRefs | undefined> {
    const path = formatTarget({ operation: 'refs', repository }).canonical
    try {
      return (await this.#fetch(repository, 'refs', path, refsSchema, options)).body
    } catch (error) {
      if (!mayLackOperation(error)) throw error
      await this.commitOf(repository, undefined, options) // rejects if it is the repository that is missing
      return undefined
    }
  }

  /** The ref of this name; `undefined`: it is a commit's, or the beginning of one's. */
  async #ref(
    repository: Repository,
    name: string,
    commit: string,
    options: AskOptions,
  ): Promise<RevisionPlace['ref'] | undefined> {
    if (isCommit(name)) return undefined
    if (name.startsWith('refs/pr/')) return { name, kind: 'pull-request' }
    if (name.startsWith('refs/convert/')) return { name, kind: 'convert' }
    const refs = await this.refs(repository, options)
    // Without a list it is taken for what most refs are.
    if (refs?.tags.some((tag) => tag.name === name) === true) return { name, kind: 'tag' }
    const isBranch = refs?.branches.some((branch) => branch.name === name) === true
    return commit.startsWith(name) && !isBranch ? undefined : { name, kind: 'branch' }
  }

  async #commits(repository: Repository, commit: string, options: DescribeOptions): Promise<HubCommits> {
    const path = formatTarget({ operation: 'commits', repository, revision: commit }).canonical
    // Where there is none, the server passes the question on.
    const none = (error: unknown): { body: HubCommits } => {
      if (mayLackOperation(error)) return { body: [] }
      throw error
    }
    return (await this.#fetch(repository, commit, path, commitsSchema, options).catch(none)).body
  }

  async #tree(repository: Repository, commit: string, options: DescribeOptions): Promise<TreeEntry[]> {
    const { memory = Number.POSITIVE_INFINITY } = options
    const entries: TreeEntry[] = []
    let size = 0
    const first = formatTarget(
      { operation: 'tree', repository, revision: commit, path: '' },
      'recursive=true&expand=false',
    )
    let next: string | undefined = first.canonical
    for (let pages = 0; next !== undefined; pages++) {
      if (pages === mostTreePages) throw new UnusableResponse(this.origin, 'its list of files does not end')
      const { body, headers }: { body: TreeEntry[]; headers: HubHeaders } = await this.#fetch(
        repository,
        commit,
        next,
        treePageSchema,
        options,
      )
      entries.push(...body)
      for (const entry of body) size += sizeOfEntry(entry)
      if (size > memory) throw new ListingTooLarge(memory)
      const link = nextPage(headers.link)
      next = link === undefined ? undefined : this.#client.linked(link, next)
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

  async #fetch<T>(
    repository: Repository,
    revision: string,
    place: string,
    schema: z.ZodType<T>,
    { signal, memory }: DescribeOptions,
  ) {
    const refuse: Refuse = (status, headers) => explainRefusal(repository, revision, status, headers)
    const { body, headers } = await fetchJson(this.#client, place, signal, refuse, memory)
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      throw new UnusableResponse(
        this.origin,
        `${new URL(place, this.origin).pathname}: ${z.prettifyError(parsed.error).split('\n', 1)[0]}`,
      )
    }
    return { body: parsed.data, headers }
  }
}

function ignoreBadQuestion(error: unknown): undefined {
  if (!(error instanceof HubFailure && error.status === 400)) throw error
}

/** The URL of the next page, as the Hub wrote it. */
function nextPage(link: string | undefined): string | undefined {
  return link === undefined ? undefined : LinkHeader.parse(link).rel('next')[0]?.uri
}

/** The Hub's clock, from the `Date` header. */
function dateOf(header: string | undefined): { saidAt?: Date } {
  const time = Date.parse(header ?? '')
  return Number.isNaN(time) ? {} : { saidAt: new Date(time) }
}
