import { availableParallelism } from 'node:os'
import { Args, Flags } from '@oclif/core'
import type { Config } from '../../config/index.ts'
import {
  describeError,
  formatRepository,
  parseRepository,
  type Repository,
  repositoryTypes,
  UsageFailure,
} from '../../hub/index.ts'
import {
  BlobHasher,
  compareCommits,
  type Difference,
  findOutdated,
  noteVerification,
  type Problem,
  type RepairOutcome,
  readCatalog,
  repairStorage,
  StorageSource,
  type VerifyReport,
  verifyStorage,
} from '../../mirror/index.ts'
import type { Storage } from '../../plugin/index.ts'
import { exitCodes } from '../exit-codes.ts'
import { InspectingCommand, type ReportedError } from '../one-shot-command.ts'
import { openHub } from '../open-hub.ts'
import { assertMirrored, openExistingStorage, openStorageAt } from '../open-storage.ts'
import { TransferProgress } from '../transfer-progress.ts'
import { VerifyBar } from '../verify-progress.ts'
import { printReport } from '../verify-report.ts'

export default class Verify extends InspectingCommand {
  static override summary = 'Prove that what is stored is intact.'
  static override description =
    'Exit code 0: sound (or healed); 1: problems found; 2: it could not be checked. Branches that the Hub has moved are told, and are no problem.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> org/model --repair',
    '<%= config.bin %> <%= command.id %> --quick --json',
    '<%= config.bin %> <%= command.id %> --against-hub --storage gs://my-bucket',
  ]
  static override strict = false
  static override args = { repository: Args.string({ description: 'only these repositories', required: false }) }
  static override flags = {
    type: Flags.option({
      options: repositoryTypes,
      description: 'what the repositories are',
      default: 'model' as const,
    })(),
    quick: Flags.boolean({ description: "check existence, size and the service's own checksum, and read no content" }),
    'against-hub': Flags.boolean({
      description: 'compare with the Hub: commits, sizes, ids, and which branches have moved',
    }),
    repair: Flags.boolean({ description: 'fetch again what is broken' }),
    'repair-from': Flags.string({
      description: 'fetch it from this storage (its URL, or a directory) instead of the Hub',
      dependsOn: ['repair'],
    }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    json: Flags.boolean({ description: 'print the report as JSON' }),
  }

  readonly #found: Problem[] = []
  readonly #progress = new VerifyBar(process.stderr.isTTY)

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags, argv } = await this.parse(Verify)
    const repositories = argv.map((name) => parseRepository(flags.type, String(name)))
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const storage = await openExistingStorage(config)
    await assertMirrored(storage, repositories, { signal })
    const report = await this.#verify(storage, repositories, flags.quick, signal)
    const repairs =
      flags.repair && report.problems.length > 0
        ? await this.#repair(storage, report.problems, config, flags, signal)
        : undefined
    const differences = flags['against-hub']
      ? await this.#compare(storage, repositories, config, flags.token, signal)
      : undefined
    const open = repairs?.flatMap(({ problem, failure }) => (failure === undefined ? [] : [problem])) ?? report.problems
    if (repositories.length === 0) await this.#note(storage, { ...report, problems: open }, !flags.quick)
    await storage.close()
    if (flags.json) this.printJson({ ...report, ...(repairs && { repairs }), ...(differences && { differences }) })
    else printReport(report, repairs, differences, (line) => this.print(line))
    const wrong = differences?.filter(({ kind }) => kind !== 'moved').length ?? 0
    if (open.length + wrong > 0) this.finishWith(exitCodes.failed)
  }

  protected override achieved(): string {
    const found = this.#found.length === 0 ? 'no problem' : `${this.#found.length} problems`
    return `${this.#progress.summary} checked, ${found} found so far; run it again`
  }

  protected override documentOfFailure(error: ReportedError): unknown {
    return { problems: this.#found, error }
  }

  /** For `doctor` and the page. Whoever may only read has verified all the same. */
  async #note(storage: Storage, report: VerifyReport, content: boolean): Promise<void> {
    try {
      await noteVerification(storage, report, content)
    } catch (error) {
      process.stderr.write(`mirrorface: warning: the result cannot be recorded: ${describeError(error)}\n`)
    }
  }

  async #verify(
    storage: Storage,
    repositories: readonly Repository[],
    quick: boolean,
    signal: AbortSignal,
  ): Promise<VerifyReport> {
    const progress = this.#progress
    await using hasher = quick ? undefined : new BlobHasher(availableParallelism())
    const options = {
      ...(repositories.length > 0 && { repositories }),
      ...(hasher !== undefined && { hasher }),
      signal,
      progress,
      found: this.#found,
    }
    return await verifyStorage(storage, options).finally(() => progress.stop())
  }

  async #repair(
    storage: Storage,
    problems: readonly Problem[],
    config: Config,
    flags: { 'repair-from'?: string | undefined; token?: string | undefined },
    signal: AbortSignal,
  ): Promise<RepairOutcome[]> {
    const progress = new TransferProgress(process.stderr.isTTY)
    const options = { concurrency: 4, signal, progress }
    const from = flags['repair-from']
    if (from !== undefined) {
      const source = new StorageSource(await openStorageAt(from, config), from)
      return await repairStorage(storage, source, problems, options).finally(() => progress.stop())
    }
    if (config.offline) throw new UsageFailure('offline: name a storage to repair from (--repair-from)')
    await using hub = await openHub(config.upstreamUrl, flags.token, 12)
    return await repairStorage(storage, hub, problems, options).finally(() => progress.stop())
  }

  async #compare(
    storage: Storage,
    repositories: readonly Repository[],
    config: Config,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Difference[]> {
    await using hub = await openHub(config.upstreamUrl, token, 4)
    const catalog = await readCatalog(storage, { signal })
    const wanted = new Set(repositories.map(formatRepository))
    const chosen = {
      ...catalog,
      repositories: catalog.repositories.filter(
        (repository) => wanted.size === 0 || wanted.has(formatRepository(repository)),
      ),
    }
    return [...(await compareCommits(chosen, hub, signal)), ...(await findOutdated(chosen, hub, signal))]
  }
}
