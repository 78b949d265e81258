import { Args, Flags } from '@oclif/core'
import picomatch from 'picomatch'
import { type Config, defaultDirectory } from '../../config/index.ts'
import { formatRepository } from '../../hub/index.ts'
import { type Catalog, type CatalogRepository, findOutdated, readCatalog } from '../../mirror/index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, formatTable } from '../format.ts'
import { InspectingCommand } from '../one-shot-command.ts'
import { openHub } from '../open-hub.ts'
import { NoSuchDirectory, noSuchRepository, openExistingStorage } from '../open-storage.ts'

export default class List extends InspectingCommand {
  static override summary = 'Show what is mirrored.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> org/model --files',
    '<%= config.bin %> <%= command.id %> --json',
  ]
  static override args = { repository: Args.string({ description: 'only this repository', required: false }) }
  static override flags = {
    files: Flags.boolean({ description: 'show the files of each revision' }),
    outdated: Flags.boolean({ description: 'show refs that the Hub has moved, or no longer has' }),
    sort: Flags.option({
      options: ['name', 'size', 'mirrored'] as const,
      description: 'order',
      default: 'name' as const,
    })(),
    filter: Flags.string({ description: 'only repositories whose name matches this glob' }),
    token: Flags.string({ description: 'access token, for --outdated' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    json: Flags.boolean({ description: 'print JSON' }),
  }

  protected async perform(signal: AbortSignal): Promise<void> {
    const { flags, args } = await this.parse(List)
    const config = await this.loadConfig(flags, { upstreamUrl: flags['upstream-url'] })
    const catalog = await readStorage(config, signal)
    const chosen = choose(catalog.repositories, args.repository ?? flags.filter).toSorted(orders[flags.sort])
    if (args.repository !== undefined && chosen.length === 0)
      throw noSuchRepository(args.repository, catalog.repositories.map(formatRepository))
    const shown = { ...catalog, repositories: chosen }
    if (flags.outdated) await this.#printOutdated(shown, config.upstreamUrl, flags, signal)
    else if (flags.json) this.printJson(asJson(shown, flags.files))
    else this.#print(shown, flags.files)
    const problems = chosen.flatMap((repository) => repository.problems)
    for (const problem of problems) process.stderr.write(`mirrorface: ${problem}; run mirrorface verify\n`)
    if (problems.length > 0) this.finishWith(exitCodes.failed)
  }

  async #printOutdated(
    catalog: Catalog,
    endpoint: string,
    flags: { token?: string | undefined; json: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    await using hub = await openHub(endpoint, flags.token, 4)
    const outdated = await findOutdated(catalog, hub, signal)
    if (flags.json) return this.printJson(outdated)
    if (outdated.length === 0) return this.print('everything is as the Hub has it')
    const rows = outdated.map(({ repository, revision, mirrored, hub: now }) => [
      repository,
      revision,
      mirrored.slice(0, 12),
      now.slice(0, 12),
    ])
    this.print(formatTable(['REPOSITORY', 'REF', 'MIRRORED', 'AT THE HUB'], rows))
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

/** Before the first run there is no default directory, and nothing in it. */
async function readStorage(config: Config, signal: AbortSignal): Promise<Catalog> {
  try {
    const storage = await openExistingStorage(config)
    const catalog = await readCatalog(storage, { signal })
    await storage.close()
    return catalog
  } catch (error) {
    if (error instanceof NoSuchDirectory && error.directory === defaultDirectory) return { repositories: [], bytes: 0 }
    throw error
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

const orders: Readonly<Record<'name' | 'size' | 'mirrored', (a: CatalogRepository, b: CatalogRepository) => number>> = {
  name: (a, b) => formatRepository(a).localeCompare(formatRepository(b)),
  size: (a, b) => b.bytes - a.bytes,
  mirrored: (a, b) => (b.revisions[0]?.mirroredAt ?? '').localeCompare(a.revisions[0]?.mirroredAt ?? ''),
}

function choose(repositories: readonly CatalogRepository[], glob: string | undefined): CatalogRepository[] {
  const matches = glob === undefined ? () => true : picomatch(glob, { bash: true })
  return repositories.filter((repository) => matches(formatRepository(repository)))
}
