import { stat } from 'node:fs/promises'
import { closestName, didYouMean } from '../config/closest-name.ts'
import { type Config, storageAt } from '../config/index.ts'
import { Failure, formatRepository, parseRepositoryFolder, type Repository, UsageFailure } from '../hub/index.ts'
import { repositoriesPrefix } from '../mirror/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { openStorage, type PluginReference } from '../plugin/registry.ts'
import { closestDirectory } from './closest-directory.ts'
import { quietContext } from './quiet-context.ts'

/** A directory that a command was told to look into, or to change, and that is not there. */
export class NoSuchDirectory extends UsageFailure {
  readonly directory: string

  constructor(directory: string, suggestion: string | undefined) {
    super(`no such directory: ${directory}${didYouMean(suggestion)}`)
    this.directory = directory
  }
}

/** The storage that `mirror` writes to: the first of the configuration. A local directory is made if missing. */
export async function openConfiguredStorage(config: Config): Promise<Storage> {
  return await openReferenced(firstStorage(config), config)
}

/** The same storage for commands that work on what is there: nothing is made. */
export async function openExistingStorage(config: Config): Promise<Storage> {
  return await openExisting(firstStorage(config), config)
}

/** A storage named by its URL, or a directory by its path; it must exist. */
export async function openStorageAt(place: string, config: Config): Promise<Storage> {
  return await openExisting(await storageAt(place, config), config)
}

/** Opens a storage without making its directory; rejects with {@link NoSuchDirectory} where that is missing. */
export async function openExisting(reference: PluginReference, config: Config): Promise<Storage> {
  const isDirectory = reference.plugin === 'local' || reference.plugin === 'gcs-mount'
  if (isDirectory && typeof reference.directory === 'string') await assertDirectory(reference.directory)
  return await openReferenced(reference.plugin === 'local' ? { ...reference, create: false } : reference, config)
}

/** Rejects with a {@link UsageFailure} that suggests a name unless each of these is mirrored. */
export async function assertMirrored(
  storage: Storage,
  repositories: readonly Repository[],
  options: OperationOptions,
): Promise<void> {
  if (repositories.length === 0) return
  const folders = await storage.children(repositoriesPrefix, options)
  const names = folders
    .map(parseRepositoryFolder)
    .filter((found) => found !== undefined)
    .map(formatRepository)
  for (const name of repositories.map(formatRepository)) if (!names.includes(name)) throw noSuchRepository(name, names)
}

export function noSuchRepository(name: string, known: readonly string[]): UsageFailure {
  const others = known.filter((one) => one.endsWith(`/${name}`)) // of another type
  return new UsageFailure(`no such repository here: ${name}${didYouMean(others[0] ?? closestName(name, known))}`)
}

async function openReferenced(reference: PluginReference, config: Config): Promise<Storage> {
  return await openStorage(reference, quietContext, {
    timeout: config.storageTimeout,
    retries: 3,
    retryExpired: true,
    observe() {},
  })
}

function firstStorage(config: Config): PluginReference {
  const [reference] = config.storages
  if (reference === undefined) throw new Failure('NoStorage', 500, 'no storage is configured')
  return reference
}

async function assertDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => error)
  if (!(found instanceof Error)) return
  if (found.code === 'ENOENT' || found.code === 'ENOTDIR')
    throw new NoSuchDirectory(directory, await closestDirectory(directory))
}
