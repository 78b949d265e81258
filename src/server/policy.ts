import picomatch from 'picomatch'
import {
  formatRepository,
  HubFailure,
  type HubRequest,
  type InvalidRequest,
  type OtherRequest,
  type Repository,
  repositoryOfPath,
} from '../hub/index.ts'
import type { ReadableLibrary } from './access.ts'

export interface PolicyOptions {
  /** Globs of repository ids, with `datasets/` or `spaces/` in front where it is none of a model; empty: all. */
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  /** Refuse what changes a repository at the Hub. */
  readonly readOnly: boolean
  /** Weights that run code when they are loaded. */
  readonly pickleFiles: 'allow' | 'refuse' | 'refuse-if-safetensors'
}

/** Lists a revision's files at the Hub, with a client's own credentials; `undefined` where the Hub will not say. */
export type ListUpstreamFiles = (
  repository: Repository,
  revision: string,
  authorization: string | undefined,
) => Promise<readonly string[] | undefined>

/** Who asks: with which credentials, and what they may read. */
export interface PolicyClient {
  readonly authorization: string | undefined
  readonly library: ReadableLibrary
}

const pickleEndings = /\.(?:bin|pt|pth|pkl|pickle|ckpt)$/i

/** Requests of these methods change nothing. */
const reading = new Set(['GET', 'HEAD', 'OPTIONS'])

/** What this mirror is willing to answer at all, whoever asks and wherever the answer would come from. */
export class Policy {
  readonly #options: PolicyOptions
  readonly #isAllowed: (name: string) => boolean
  readonly #isDenied: (name: string) => boolean
  readonly #listUpstreamFiles: ListUpstreamFiles

  constructor(options: PolicyOptions, listUpstreamFiles: ListUpstreamFiles) {
    this.#options = options
    this.#isAllowed = options.allow.length === 0 ? () => true : picomatch([...options.allow], { nocase: true })
    this.#isDenied = options.deny.length === 0 ? () => false : picomatch([...options.deny], { nocase: true })
    this.#listUpstreamFiles = listUpstreamFiles
  }

  /** Rejects with a {@link HubFailure} that says which rule refuses the request. */
  async assertAllowed(
    method: string,
    path: string,
    hub: HubRequest | OtherRequest | InvalidRequest,
    client: PolicyClient,
  ): Promise<void> {
    const repository = 'repository' in hub ? hub.repository : repositoryOfPath(path)
    if (repository !== undefined) this.#assertRepository(repository)
    if (this.#options.readOnly && !reading.has(method) && hub.operation !== 'paths-info' && !isGitRead(path))
      throw new HubFailure('ReadOnlyMirror', 403, 'this mirror is read-only: upload to the Hub itself')
    if (hub.operation === 'resolve' || hub.operation === 'resolve-cache' || hub.operation === 'raw')
      await this.#assertFile(hub, client)
  }

  #assertRepository(repository: Repository): void {
    const name = formatRepository(repository)
    if (this.#isDenied(name)) throw new HubFailure('RepositoryDenied', 403, `${name} is denied by this mirror's policy`)
    if (!this.#isAllowed(name))
      throw new HubFailure('RepositoryDenied', 403, `${name} is not among the repositories that this mirror allows`)
  }

  async #assertFile(
    { repository, revision, path }: { repository: Repository; revision: string; path: string },
    { library, authorization }: PolicyClient,
  ): Promise<void> {
    const rule = this.#options.pickleFiles
    if (rule === 'allow' || !pickleEndings.test(path)) return
    if (rule === 'refuse-if-safetensors') {
      const mirrored = await library.find(repository, revision)
      const files =
        mirrored === undefined
          ? await this.#listUpstreamFiles(repository, revision, authorization)
          : mirrored.files.keys()
      if (files === undefined || ![...files].some((file) => file.endsWith('.safetensors'))) return
    }
    throw new HubFailure(
      'FileRefused',
      403,
      `${path} is refused: pickle files run code when they are loaded; use the safetensors weights`,
    )
  }
}

/** Fetching by git is made of POSTs; so is asking where large files are. */
function isGitRead(path: string): boolean {
  return path.endsWith('/git-upload-pack') || path.endsWith('/info/lfs/objects/batch')
}
