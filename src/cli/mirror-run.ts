import { describeError, Failure, formatRepository, type Repository, repositoryFolder } from '../hub/index.ts'
import {
  carryOut,
  type MirrorPlan,
  type MirrorRequest,
  type MirrorResult,
  planMirror,
  pruneRepository,
  type RepositorySource,
} from '../mirror/index.ts'
import type { Storage } from '../plugin/index.ts'
import type { ReportedError } from './one-shot-command.ts'
import type { TransferProgress } from './transfer-progress.ts'

export interface MirrorRunOptions {
  readonly concurrency: number
  readonly dryRun: boolean
  readonly signal: AbortSignal
  readonly progress: TransferProgress
  readonly report: MirrorRunReport
}

/** Told how each revision ended, for people. */
export interface MirrorRunReport {
  planned(plan: MirrorPlan): void
  mirrored(plan: MirrorPlan, result: MirrorResult): void
  failed(request: MirrorRequest, error: unknown): void
}

/** What became of one request; an element of the JSON document. */
type Outcome = Pick<MirrorRequest, 'repository' | 'revision'> & Readonly<Record<string, unknown>>

/** The next repository would meet the same. */
const endsTheRun = new Set(['BadToken', 'StorageFull', 'ReadOnlyStorage', 'UnknownLayout', 'PluginFailure'])

/** May be one repository's trouble, or everybody's: told by how often it comes in a row. */
const unreachable = new Set(['HubUnreachable', 'StorageUnavailable'])
const mostUnreachable = 3

/** Mirrors revisions one after the other; one that fails does not keep the others from being mirrored. */
export class MirrorRun {
  readonly #requests: readonly MirrorRequest[]
  readonly #source: RepositorySource
  readonly #storage: Storage
  readonly #options: MirrorRunOptions
  readonly #outcomes: Outcome[] = []
  readonly #current = new Map<string, Set<string>>()
  readonly #failures = new Map<string, unknown>()
  #done = 0

  constructor(
    requests: readonly MirrorRequest[],
    source: RepositorySource,
    storage: Storage,
    options: MirrorRunOptions,
  ) {
    this.#requests = requests
    this.#source = source
    this.#storage = storage
    this.#options = options
  }

  /** Revisions mirrored so far. */
  get done(): number {
    return this.#done
  }

  /** Rejects with what ends the whole run. */
  async mirrorAll(): Promise<void> {
    let inARow = 0
    for (const request of this.#requests) {
      try {
        this.#outcomes.push({ ...identityOf(request), ...(await this.#mirror(request)) })
        this.#done++
        inARow = 0
      } catch (error) {
        this.#options.signal.throwIfAborted()
        const code = codeOf(error)
        inARow = unreachable.has(code) ? inARow + 1 : 0
        if (this.#requests.length === 1 || endsTheRun.has(code) || isOfTheSystem(error) || inARow >= mostUnreachable)
          throw error
        this.#failures.set(repositoryFolder(request.repository), error)
        this.#outcomes.push({ ...identityOf(request), error: { code, message: describeError(error) } })
        this.#options.report.failed(request, error)
      }
    }
  }

  /** Removes commits that no ref and no request names. Of a repository that failed it is not known which are current. */
  async prune(onPruned: (repository: Repository, commit: string) => void): Promise<void> {
    const repositories = new Map(this.#requests.map(({ repository }) => [repositoryFolder(repository), repository]))
    for (const [folder, repository] of repositories) {
      if (this.#failures.has(folder)) continue
      const keep = this.#current.get(folder) ?? new Set()
      const { commits } = await pruneRepository(this.#storage, repository, keep, { signal: this.#options.signal })
      for (const commit of commits) onPruned(repository, commit)
    }
  }

  /** Rejects if some repositories failed. */
  assertComplete(): void {
    if (this.#failures.size === 0) return
    const failed = `${this.#failures.size} repositories could not be mirrored`
    throw [...this.#failures.values()].every((error) => codeOf(error) === 'ClaimLost')
      ? new Failure('ClaimLost', 409, `${failed}: their claims were lost; run it again`)
      : new Failure('MirrorIncomplete', 500, this.#done === 0 ? failed : `${failed}; the others were`)
  }

  /** An element for each request, whether it was mirrored, failed or was not tried. `error`: what ended the run. */
  document(error?: ReportedError): object[] {
    if (error === undefined) return [...this.#outcomes]
    const [current, ...rest] = this.#requests.slice(this.#outcomes.length)
    const notAttempted = { code: 'NotAttempted', message: 'the run ended before its turn came' }
    return [
      ...this.#outcomes,
      current === undefined ? { error } : { ...identityOf(current), error },
      ...rest.map((request) => ({ ...identityOf(request), error: notAttempted })),
    ]
  }

  /** How far it came, for people. */
  get summary(): string {
    const total = this.#requests.length
    const { summary } = this.#options.progress
    const request = this.#requests[this.#outcomes.length]
    const mirrored = total === 1 ? [] : [`${this.#done} of ${total} revisions are mirrored`]
    const begun =
      request === undefined || summary === undefined
        ? []
        : [`${summary} of ${formatRepository(request.repository)}@${request.revision} are kept`]
    return [...mirrored, ...begun].join(', ') || 'nothing was fetched yet'
  }

  async #mirror(request: MirrorRequest): Promise<object> {
    const { concurrency, signal, progress, report, dryRun } = this.#options
    progress.begin()
    const plan = await planMirror(this.#source, this.#storage, request, { signal })
    const folder = repositoryFolder(request.repository)
    this.#current.set(folder, (this.#current.get(folder) ?? new Set()).add(plan.listing.commit))
    if (dryRun) {
      report.planned(plan)
      return {
        commit: plan.listing.commit,
        toFetch: plan.missing.map(({ path, size }) => ({ path, size })),
        bytes: plan.missing.reduce((sum, file) => sum + file.size, 0),
        present: plan.present.length,
        leftOut: plan.leftOut.length,
      }
    }
    const result = await carryOut(plan, this.#source, this.#storage, { concurrency, signal, progress }).finally(() =>
      progress.stop(),
    )
    report.mirrored(plan, result)
    return result
  }
}

function identityOf({ repository, revision }: MirrorRequest) {
  return { repository, revision }
}

function codeOf(error: unknown): string {
  return error instanceof Failure ? error.code : 'Unexpected'
}

/** An error of the operating system, which knows nothing of repositories: no descriptors left, say. */
function isOfTheSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
