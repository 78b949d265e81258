import { Args, Flags } from '@oclif/core'
import { formatRepository } from '../../hub/index.ts'
import { type Catalog, type CatalogRepository, readCatalog } from '../../mirror/index.ts'
import { BaseCommand } from '../base-command.ts'
import { formatBytes, formatTable } from '../format.ts'
import { openConfiguredStorage } from '../open-storage.ts'

export default class List extends BaseCommand {
  static override summary = 'Show what is mirrored.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> org/model --files',
    '<%= config.bin %> <%= command.id %> --json',
  ]
  static override args = { repository: Args.string({ description: 'only this repository', required: false }) }
  static override flags = {
    files: Flags.boolean({ description: 'show the files of each revision' }),
    json: Flags.boolean({ description: 'print JSON' }),
  }

  async run(): Promise<void> {
    const { flags, args } = await this.parse(List)
    const config = await this.loadConfig({ localDirectory: flags['local-directory'] }, flags.config)
    const storage = await openConfiguredStorage(config)
    const catalog = await readCatalog(storage)
    const chosen = catalog.repositories.filter(
      (repository) => args.repository === undefined || formatRepository(repository) === args.repository,
    )
    await storage.close()
    if (flags.json) this.printJson(asJson({ ...catalog, repositories: chosen }, flags.files))
    else this.#print({ ...catalog, repositories: chosen }, flags.files)
    const problems = chosen.flatMap((repository) => repository.problems)
    for (const problem of problems) process.stderr.write(`mirrorface: ${problem}; run mirrorface verify\n`)
    if (problems.length > 0) this.exit(1)
  }

  #print(catalog: Catalog, files: boolean): void {
    if (catalog.repositories.length === 0) {
      this.print('nothing is mirrored yet: mirrorface mirror namespace/name')
      return
    }
    if (files) for (const repository of catalog.repositories) this.#printFiles(repository)
    else {
      const rows = catalog.repositories.flatMap((repository) =>
        repository.revisions.map((revision) => [
          formatRepository(repository),
          revision.commit.slice(0, 12),
          revision.refs.join(', '),
          revision.leftOut === 0 ? String(revision.files) : `${revision.files} of ${revision.files + revision.leftOut}`,
          formatBytes(revision.bytes),
          revision.mirroredAt.slice(0, 16).replace('T', ' '),
        ]),
      )
      this.print(formatTable(['REPOSITORY', 'COMMIT', 'REFS', 'FILES', 'SIZE', 'MIRRORED'], rows))
      this.print(
        `\n${catalog.repositories.length} repositories, ${formatBytes(catalog.bytes)} (shared blobs counted once)`,
      )
    }
  }

  #printFiles(repository: CatalogRepository): void {
    for (const manifest of repository.manifests) {
      this.print(`${formatRepository(repository)}@${manifest.commit}`)
      const rows = manifest.files.map((file) => [`  ${file.path}`, formatBytes(file.size), file.blob ?? 'not mirrored'])
      this.print(formatTable(['  FILE', 'SIZE', 'BLOB'], rows))
    }
  }
}

function asJson(catalog: Catalog, files: boolean): object {
  return {
    bytes: catalog.bytes,
    repositories: catalog.repositories.map(({ manifests, ...repository }) => ({
      ...repository,
      revisions: repository.revisions.map((revision) => ({
        ...revision,
        ...(files && { fileList: manifests.find((manifest) => manifest.commit === revision.commit)?.files }),
      })),
    })),
  }
}
