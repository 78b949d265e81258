import { availableParallelism } from 'node:os'
import { Args, Flags } from '@oclif/core'
import { parseRepository, repositoryTypes } from '../../hub/index.ts'
import { BlobHasher, type Problem, type VerifyReport, verifyStorage } from '../../mirror/index.ts'
import { BaseCommand, exitCodes } from '../base-command.ts'
import { formatBytes } from '../format.ts'
import { openConfiguredStorage } from '../open-storage.ts'
import { stopSignal } from '../stop-signal.ts'
import { VerifyBar } from '../verify-progress.ts'

export default class Verify extends BaseCommand {
  static override summary = 'Prove that what is stored is intact.'
  static override description = 'Exit code 0: sound; 1: problems found; 2: it could not be checked.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> org/model',
    '<%= config.bin %> <%= command.id %> --quick --json',
  ]
  static override strict = false
  static override args = { repository: Args.string({ description: 'only these repositories', required: false }) }
  static override flags = {
    type: Flags.option({
      options: repositoryTypes,
      description: 'what the repositories are',
      default: 'model' as const,
    })(),
    quick: Flags.boolean({ description: 'check existence and size, and read no content' }),
    json: Flags.boolean({ description: 'print the report as JSON' }),
  }

  async run(): Promise<void> {
    const { flags, argv } = await this.parse(Verify)
    const repositories = (argv as string[]).map((name) => parseRepository(flags.type, name))
    const config = await this.loadConfig({ localDirectory: flags['local-directory'] }, flags.config)
    const storage = await openConfiguredStorage(config)
    const progress = new VerifyBar(process.stderr.isTTY && !flags.json)
    await using hasher = flags.quick ? undefined : new BlobHasher(availableParallelism())
    const report = await verifyStorage(storage, {
      ...(repositories.length === 0 ? {} : { repositories }),
      ...(hasher === undefined ? {} : { hasher }),
      signal: stopSignal(),
      progress,
    }).finally(() => progress.stop())
    await storage.close()
    if (flags.json) this.printJson(report)
    else this.#print(report)
    if (report.problems.length > 0) this.exit(exitCodes.failure)
  }

  protected override async catch(error: Error & { oclif?: { exit?: number } }): Promise<void> {
    // Whatever kept us from checking is no verdict on the content: 2, and not 1.
    if (error.oclif === undefined) error.oclif = { exit: exitCodes.usage }
    await super.catch(error)
  }

  #print(report: VerifyReport): void {
    for (const problem of report.problems) this.print(describeProblem(problem))
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
  const where = [
    repository === undefined ? undefined : `${repository}${commit === undefined ? '' : `@${commit.slice(0, 12)}`}`,
    path,
    key,
  ]
    .filter((part) => part !== undefined)
    .join(' ')
  const what = [
    expected === undefined ? undefined : `expected ${expected}`,
    found === undefined ? undefined : `found ${found}`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
  return `${kind}: ${where}${what === '' ? '' : `: ${what}`}`
}
