import { Args, Flags } from '@oclif/core'
import { Failure, parseRepository, parseRevision, repositoryTypes, UsageFailure } from '../../hub/index.ts'
import { removeRevision } from '../../mirror/index.ts'
import { OneShotCommand } from '../one-shot-command.ts'
import { assertMirrored, openExistingStorage } from '../open-storage.ts'

export default class Remove extends OneShotCommand {
  static override summary = 'Remove a mirrored repository, or one revision of it.'
  static override description = 'The content that nothing else needs is freed by the next `mirrorface sweep`.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> org/model',
    '<%= config.bin %> <%= command.id %> org/model@v1.0',
  ]
  static override args = {
    repository: Args.string({ description: 'namespace/name or namespace/name@revision', required: true }),
  }
  static override flags = {
    type: Flags.option({
      options: repositoryTypes,
      description: 'what the repository is',
      default: 'model' as const,
    })(),
    json: Flags.boolean({ description: 'print the result as JSON' }),
  }

  #removes = false

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags, args } = await this.parse(Remove)
    const at = args.repository.indexOf('@')
    const repository = parseRepository(flags.type, at === -1 ? args.repository : args.repository.slice(0, at))
    const revision = at === -1 ? undefined : parseRevision(args.repository.slice(at + 1))
    const storage = await openExistingStorage(await this.loadConfig(flags))
    await assertMirrored(storage, [repository], { signal })
    this.#removes = true
    const removed = await removeRevision(storage, repository, revision, { signal }).catch(asBadInput)
    await storage.close()
    if (flags.json) this.printJson(removed)
    else
      this.print(
        `removed ${removed.refs.length} refs and ${removed.commits.length} commits of ${args.repository}; mirrorface sweep frees their content`,
      )
  }

  protected override achieved(): string {
    return this.#removes ? 'part of it may be removed; run it again for the rest' : super.achieved()
  }
}

/** What the person named is not here. */
function asBadInput(error: unknown): never {
  const isUnknown = error instanceof Failure && (error.code === 'RepoNotFound' || error.code === 'RevisionNotFound')
  throw isUnknown ? new UsageFailure(error.message, { cause: error }) : error
}
