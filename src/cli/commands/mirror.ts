import { Args, Flags } from '@oclif/core'
import { parseRepository, parseRevision, repositoryTypes, UsageFailure } from '../../hub/index.ts'
import { carryOut, type MirrorPlan, type MirrorResult, planMirror } from '../../mirror/index.ts'
import { BaseCommand } from '../base-command.ts'
import { formatBytes } from '../format.ts'
import { openHub } from '../open-hub.ts'
import { openConfiguredStorage } from '../open-storage.ts'
import { stopSignal } from '../stop-signal.ts'
import { TransferProgress } from '../transfer-progress.ts'

export default class Mirror extends BaseCommand {
  static override summary = 'Copy repositories from the Hub into storage.'
  static override description =
    'What is there already is not fetched again, and an interrupted run goes on where it stopped. A file is kept only if its hash is the one that the Hub gives.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> openai-community/gpt2',
    '<%= config.bin %> <%= command.id %> org/model --revision main --revision v1.0 --exclude "*.bin"',
    '<%= config.bin %> <%= command.id %> squad --type dataset --local-directory /data/mirror',
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
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    concurrency: Flags.integer({ description: 'files at a time', min: 1, max: 64, default: 4 }),
    'dry-run': Flags.boolean({ description: 'say what would be fetched, and fetch nothing' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Mirror)
    const names = [...(argv as string[]), ...(flags.repository ?? [])]
    if (names.length === 0) throw new UsageFailure('name a repository: mirrorface mirror namespace/name')
    const repositories = names.map((name) => parseRepository(flags.type, name))
    const revisions = flags.revision.map(parseRevision)
    const config = await this.loadConfig(
      { localDirectory: flags['local-directory'], upstreamUrl: flags['upstream-url'] },
      flags.config,
    )
    const storage = await openConfiguredStorage(config)
    await using hub = await openHub(config.upstreamUrl, flags.token, flags.concurrency * 2 + 4)
    const signal = stopSignal()
    const results: object[] = []
    for (const repository of repositories) {
      for (const revision of revisions) {
        const request = { repository, revision, include: flags.include, exclude: flags.exclude }
        const plan = await planMirror(hub, storage, request, { signal })
        if (flags['dry-run']) results.push(this.#reportPlan(plan, flags.json))
        else {
          const progress = new TransferProgress(process.stderr.isTTY)
          const options = { concurrency: flags.concurrency, signal, progress }
          const result = await carryOut(plan, hub, storage, options).finally(() => progress.stop())
          results.push(this.#reportResult(plan, result, flags.json))
        }
      }
    }
    if (flags.json) this.printJson(results)
    await storage.close()
  }

  #reportPlan({ request, listing, present, missing, leftOut }: MirrorPlan, json: boolean): object {
    const bytes = missing.reduce((sum, file) => sum + file.size, 0)
    if (!json) {
      this.print(`${request.repository.id}@${request.revision} is ${listing.commit}`)
      for (const file of missing) this.print(`  would fetch ${file.path} (${formatBytes(file.size)})`)
      this.print(
        `  ${missing.length} files to fetch (${formatBytes(bytes)}), ${present.length} here already, ${leftOut.length} left out`,
      )
    }
    return {
      repository: request.repository,
      revision: request.revision,
      commit: listing.commit,
      toFetch: missing.map(({ path, size }) => ({ path, size })),
      bytes,
      present: present.length,
      leftOut: leftOut.length,
    }
  }

  #reportResult({ request }: MirrorPlan, result: MirrorResult, json: boolean): object {
    if (!json) {
      const fetched =
        result.downloadedFiles === 0
          ? 'nothing to fetch'
          : `${result.downloadedFiles} files fetched (${formatBytes(result.downloadedBytes)})`
      this.print(
        `${request.repository.id}@${request.revision} is mirrored at ${result.commit}: ${fetched}, ${result.files} files stored (${formatBytes(result.bytes)})`,
      )
    }
    return { repository: request.repository, revision: request.revision, ...result }
  }
}
