import { Args, Flags } from '@oclif/core'
import { type Config, type ListedRepository, readRepositoryList } from '../../config/index.ts'
import {
  Failure,
  formatRepository,
  parseRepository,
  parseRevision,
  repositoryFolder,
  repositoryTypes,
  UsageFailure,
} from '../../hub/index.ts'
import {
  carryOut,
  type MirrorPlan,
  type MirrorRequest,
  type MirrorResult,
  planMirror,
  pruneRepository,
  type RepositorySource,
  StorageSource,
} from '../../mirror/index.ts'
import type { Storage } from '../../plugin/index.ts'
import { BaseCommand } from '../base-command.ts'
import { fetchMisses } from '../fetch-misses.ts'
import { formatBytes } from '../format.ts'
import { openHub } from '../open-hub.ts'
import { openConfiguredStorage, openStorageAt } from '../open-storage.ts'
import { stopSignal } from '../stop-signal.ts'
import { TransferProgress } from '../transfer-progress.ts'

export default class Mirror extends BaseCommand {
  static override summary = 'Copy repositories from the Hub into storage.'
  static override description =
    'What is there already is not fetched again, and an interrupted run goes on where it stopped. A file is kept only if its hash is the one that the Hub gives. A repository that fails does not keep the others of a list from being mirrored; the exit code is then 1.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> openai-community/gpt2',
    '<%= config.bin %> <%= command.id %> org/model --revision main --revision v1.0 --exclude "*.bin"',
    '<%= config.bin %> <%= command.id %> squad --type dataset --gcs-bucket my-bucket/mirror',
    '<%= config.bin %> <%= command.id %> --from repositories.yaml --prune --gcs-bucket my-bucket',
    '<%= config.bin %> <%= command.id %> --from-misses http://mirrorface:8000 --min-requests 10 --gcs-bucket my-bucket',
    '<%= config.bin %> <%= command.id %> org/model --source /data/checked --gcs-bucket my-bucket',
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
    source: Flags.string({ description: 'copy from this storage (a directory or gs://bucket) instead of the Hub' }),
    token: Flags.string({ description: 'access token (HF_TOKEN, or what `hf auth login` saved)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    concurrency: Flags.integer({ description: 'files at a time', min: 1, max: 64, default: 4 }),
    'dry-run': Flags.boolean({ description: 'say what would be fetched, and fetch nothing' }),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Mirror)
    const entries = await this.#entries([...(argv as string[]), ...(flags.repository ?? [])], flags)
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const storage = await openConfiguredStorage(config)
    await using source = await openSource(config, flags)
    const signal = stopSignal()
    const requests = entries.flatMap(({ revisions, ...entry }) =>
      revisions.map((revision): MirrorRequest => ({ ...entry, revision })),
    )
    const results: object[] = []
    const current = new Map<string, Set<string>>()
    const failed = new Set<string>()
    for (const request of requests) {
      const folder = repositoryFolder(request.repository)
      try {
        const plan = await planMirror(source, storage, request, { signal })
        current.set(folder, (current.get(folder) ?? new Set()).add(plan.listing.commit))
        if (flags['dry-run']) results.push(this.#reportPlan(plan, flags.json))
        else {
          const progress = new TransferProgress(process.stderr.isTTY)
          const options = { concurrency: flags.concurrency, signal, progress }
          const result = await carryOut(plan, source, storage, options).finally(() => progress.stop())
          results.push(this.#reportResult(plan, result, flags.json))
        }
      } catch (error) {
        if (requests.length === 1 || !concernsOneRepository(error)) throw error
        failed.add(folder)
        results.push(this.#reportFailure(request, error))
      }
    }
    // Of a repository that failed it is not known which revisions are current.
    const pruned = entries.filter(({ repository }) => !failed.has(repositoryFolder(repository)))
    if (flags.prune && !flags['dry-run']) await this.#prune(storage, pruned, current)
    if (flags.json) this.printJson(results)
    await storage.close()
    if (failed.size > 0)
      throw new Failure('MirrorIncomplete', 500, `${failed.size} repositories could not be mirrored; the others were`)
  }

  async #entries(
    names: string[],
    flags: {
      from?: string | undefined
      'from-misses'?: string | undefined
      'min-requests': number
      type: (typeof repositoryTypes)[number]
      revision: string[]
      include: string[]
      exclude: string[]
    },
  ): Promise<ListedRepository[]> {
    const listed = flags.from === undefined ? [] : await readRepositoryList(flags.from)
    const missed = flags['from-misses'] === undefined ? [] : await fetchMisses(flags['from-misses'])
    const wanted = missed
      .filter(({ requests }) => requests >= flags['min-requests'])
      .map(({ type, id }) => ({
        repository: parseRepository(type, id),
        revisions: ['main'],
        include: flags.include,
        exclude: flags.exclude,
      }))
    const named = names.map((name) => ({
      repository: parseRepository(flags.type, name),
      revisions: flags.revision.map(parseRevision),
      include: flags.include,
      exclude: flags.exclude,
    }))
    if (flags['from-misses'] !== undefined && listed.length + named.length === 0) return wanted // may be none
    if (listed.length + named.length === 0)
      throw new UsageFailure('name a repository: mirrorface mirror namespace/name')
    return [...listed, ...named, ...wanted]
  }

  async #prune(
    storage: Storage,
    entries: readonly ListedRepository[],
    current: ReadonlyMap<string, ReadonlySet<string>>,
  ): Promise<void> {
    const repositories = new Map(entries.map(({ repository }) => [repositoryFolder(repository), repository]))
    for (const [folder, repository] of repositories) {
      const { commits } = await pruneRepository(storage, repository, current.get(folder) ?? new Set())
      for (const commit of commits) process.stderr.write(`pruned ${formatRepository(repository)}@${commit}\n`)
    }
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

  #reportFailure({ repository, revision }: MirrorRequest, { code, message }: Failure): object {
    process.stderr.write(`mirrorface: ${formatRepository(repository)}@${revision}: ${message}\n`)
    return { repository, revision, error: { code, message } }
  }
}

/** After these other repositories may still be mirrored: the source answers, and the storage takes what it is given. */
const ofOneRepository = new Set([
  'RepoNotFound',
  'RevisionNotFound',
  'EntryNotFound',
  'GatedRepo',
  'UpstreamError',
  'ContentMismatch',
  'LostClaim',
])

function concernsOneRepository(error: unknown): error is Failure {
  return error instanceof Failure && ofOneRepository.has(error.code)
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
