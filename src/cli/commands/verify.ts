import { availableParallelism } from 'node:os'
import { Args, Flags } from '@oclif/core'
import type { Config } from '../../config/index.ts'
import { formatRepository, parseRepository, type Repository, repositoryTypes, UsageFailure } from '../../hub/index.ts'
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
import { BaseCommand, exitCodes } from '../base-command.ts'
import { formatBytes } from '../format.ts'
import { openHub } from '../open-hub.ts'
import { openConfiguredStorage, openStorageAt } from '../open-storage.ts'
import { stopSignal } from '../stop-signal.ts'
import { TransferProgress } from '../transfer-progress.ts'
import { VerifyBar } from '../verify-progress.ts'

export default class Verify extends BaseCommand {
  static override summary = 'Prove that what is stored is intact.'
  static override description =
    'Exit code 0: sound (or healed); 1: problems found; 2: it could not be checked. Branches that the Hub has moved are told, and are no problem.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> org/model --repair',
    '<%= config.bin %> <%= command.id %> --quick --json',
    '<%= config.bin %> <%= command.id %> --against-hub --gcs-bucket my-bucket',
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
      description: 'fetch it from this storage (a directory or gs://bucket) instead of the Hub',
      dependsOn: ['repair'],
    }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    json: Flags.boolean({ description: 'print the report as JSON' }),
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Verify)
    const repositories = (argv as string[]).map((name) => parseRepository(flags.type, name))
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const storage = await openConfiguredStorage(config)
    const signal = stopSignal()
    const report = await this.#verify(storage, repositories, flags, signal)
    if (repositories.length === 0) await noteVerification(storage, report, !flags.quick)
    const repairs =
      flags.repair && report.problems.length > 0
        ? await this.#repair(storage, report.problems, config, flags, signal)
        : undefined
    const differences = flags['against-hub']
      ? await this.#compare(storage, repositories, config, flags.token, signal)
      : undefined
    await storage.close()
    if (flags.json) this.printJson({ ...report, ...(repairs && { repairs }), ...(differences && { differences }) })
    else this.#print(report, repairs, differences)
    const open =
      repairs === undefined ? report.problems.length : repairs.filter(({ failure }) => failure !== undefined).length
    const wrong = differences?.filter(({ kind }) => kind !== 'moved').length ?? 0
    if (open + wrong > 0) this.exit(exitCodes.failure)
  }

  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    // Whatever kept us from checking is no verdict on the content: 2, and not 1.
    if (error.oclif === undefined) error.oclif = { exit: exitCodes.usage }
    await super.catch(error)
  }

  async #verify(
    storage: Storage,
    repositories: readonly Repository[],
    flags: { quick: boolean; json: boolean },
    signal: AbortSignal,
  ): Promise<VerifyReport> {
    const progress = new VerifyBar(process.stderr.isTTY && !flags.json)
    await using hasher = flags.quick ? undefined : new BlobHasher(availableParallelism())
    const options = {
      ...(repositories.length > 0 && { repositories }),
      ...(hasher !== undefined && { hasher }),
      signal,
      progress,
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

  #print(
    report: VerifyReport,
    repairs: readonly RepairOutcome[] | undefined,
    differences: readonly Difference[] | undefined,
  ): void {
    for (const problem of report.problems) {
      const outcome = repairs?.find((repair) => repair.problem === problem)
      const healed =
        outcome === undefined ? '' : outcome.failure === undefined ? ' (healed)' : ` (not healed: ${outcome.failure})`
      this.print(describeProblem(problem) + healed)
    }
    for (const { kind, repository, revision, mirrored, hub } of differences ?? [])
      this.print(`${kind}: ${repository}@${revision}: mirrored ${mirrored}, at the Hub ${hub}`)
    const { orphans } = report
    if (orphans !== undefined && orphans.blobs > 0) {
      this.print(
        `${orphans.blobs} blobs belong to no manifest (${formatBytes(orphans.bytes)}): mirrorface sweep frees them`,
      )
    }
    const checked = `${report.repositories} repositories, ${report.manifests} manifests, ${report.refs} refs, ${report.blobs} blobs (${formatBytes(report.bytes)})`
    this.print(report.problems.length === 0 ? `sound: ${checked}` : `${report.problems.length} problems in ${checked}`)
  }
}

function describeProblem({ kind, key, repository, commit, path, expected, found }: Problem): string {
  const subject =
    repository === undefined ? undefined : `${repository}${commit === undefined ? '' : `@${commit.slice(0, 12)}`}`
  const where = [subject, path, key].filter((part) => part !== undefined).join(' ')
  const what = [
    expected === undefined ? undefined : `expected ${expected}`,
    found === undefined ? undefined : `found ${found}`,
  ]
  const said = what.filter((part) => part !== undefined).join(', ')
  return `${kind}: ${where}${said === '' ? '' : `: ${said}`}`
}
