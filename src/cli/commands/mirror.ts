import { Args, Flags } from '@oclif/core'
import type { Config } from '../../config/index.ts'
import { formatRepository, repositoryTypes } from '../../hub/index.ts'
import { type RepositorySource, StorageSource } from '../../mirror/index.ts'
import { exitCodes } from '../exit-codes.ts'
import type { FailureReport } from '../explain-failure.ts'
import { mirrorReport } from '../mirror-report.ts'
import { requestsFor } from '../mirror-requests.ts'
import { MirrorRun } from '../mirror-run.ts'
import { OneShotCommand, type ReportedError } from '../one-shot-command.ts'
import { openHub } from '../open-hub.ts'
import { openConfiguredStorage, openStorageAt } from '../open-storage.ts'
import { TransferProgress } from '../transfer-progress.ts'

export default class Mirror extends OneShotCommand {
  static override summary = 'Copy repositories from the Hub into storage.'
  static override description =
    'What is there already is not fetched again, and an interrupted run goes on where it stopped. A file is kept only if its hash is the one that the Hub gives. A repository that fails does not keep the others of a list from being mirrored; the exit code is then 3.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> openai-community/gpt2',
    '<%= config.bin %> <%= command.id %> org/model --revision main --revision v1.0 --exclude "*.bin"',
    '<%= config.bin %> <%= command.id %> squad --type dataset --storage gs://my-bucket/mirror',
    '<%= config.bin %> <%= command.id %> --from repositories.yaml --prune --storage gs://my-bucket',
    '<%= config.bin %> <%= command.id %> --from-misses http://mirrorface:8000 --min-requests 10 --storage gs://my-bucket',
    '<%= config.bin %> <%= command.id %> org/model --source /data/checked --storage gs://my-bucket',
  ]
  static override strict = false
  static override args = {
    repository: Args.string({ description: 'repositories: namespace/name or name', required: false }),
  }
  static override flags = {
    repository: Flags.string({
      description: 'a repository, as an argument is',
      multiple: true,
      multipleNonGreedy: true,
    }),
    revision: Flags.string({
      description: 'branch, tag, commit or refs/pr/N',
      multiple: true,
      multipleNonGreedy: true,
      default: ['main'],
    }),
    type: Flags.option({
      options: repositoryTypes,
      description: 'what the repositories are',
      default: 'model' as const,
    })(),
    include: Flags.string({
      description: 'only files that match this glob',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    exclude: Flags.string({
      description: 'no files that match this glob',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    from: Flags.string({ description: 'YAML file with a list of repositories, revisions and globs' }),
    'from-misses': Flags.string({ description: 'also what this server was asked for and did not have: its URL' }),
    'min-requests': Flags.integer({
      description: 'with --from-misses: only what was asked for so often',
      min: 1,
      default: 1,
    }),
    prune: Flags.boolean({ description: 'remove revisions of these repositories that no ref and no entry names' }),
    source: Flags.string({ description: 'copy from this storage (its URL, or a directory) instead of the Hub' }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    concurrency: Flags.integer({ description: 'files at a time', min: 1, max: 64, default: 4 }),
    'dry-run': Flags.boolean({ description: 'say what would be fetched, and fetch nothing' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  #run: MirrorRun | undefined

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags, argv } = await this.parse(Mirror)
    const wanted = {
      ...flags,
      names: [...argv.map(String), ...(flags.repository ?? [])],
      revisions: flags.revision,
      list: flags.from,
      missesOf: flags['from-misses'],
      minRequests: flags['min-requests'],
    }
    const requests = await requestsFor(wanted, signal)
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const storage = await openConfiguredStorage(config)
    await using source = await openSource(config, flags)
    const run = new MirrorRun(requests, source, storage, {
      concurrency: flags.concurrency,
      dryRun: flags['dry-run'],
      signal,
      progress: new TransferProgress(process.stderr.isTTY),
      report: mirrorReport((line) => {
        if (!flags.json) this.print(line)
      }),
    })
    this.#run = run
    await run.mirrorAll()
    if (flags.prune && !flags['dry-run'])
      await run.prune((repository, commit) =>
        process.stderr.write(`pruned ${formatRepository(repository)}@${commit}\n`),
      )
    if (flags.json) this.printJson(run.document())
    await storage.close()
    run.assertComplete()
  }

  protected override explain(error: unknown): FailureReport {
    const report = super.explain(error)
    const isPartlyDone = report.exitCode === exitCodes.failed && (this.#run?.done ?? 0) > 0
    return isPartlyDone ? { ...report, exitCode: exitCodes.partlyDone } : report
  }

  protected override achieved(): string {
    return `${this.#run?.summary ?? 'nothing was fetched yet'}; run it again to go on from here`
  }

  protected override documentOfFailure(error: ReportedError): unknown {
    return this.#run?.document(error) ?? [{ error }]
  }
}

/** The Hub, or the storage that `--source` names. */
async function openSource(
  config: Config,
  flags: { source?: string | undefined; token?: string | undefined; concurrency: number },
): Promise<RepositorySource & AsyncDisposable> {
  if (flags.source === undefined) return await openHub(config.upstreamUrl, flags.token, flags.concurrency * 2 + 4)
  const storage = await openStorageAt(flags.source, config)
  return Object.assign(new StorageSource(storage, flags.source), { [Symbol.asyncDispose]: () => storage.close() })
}
