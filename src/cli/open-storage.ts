import type { Config, PluginReference } from '../config/index.ts'
import { Failure } from '../hub/index.ts'
import type { PluginContext, Storage } from '../plugin/index.ts'
import { openStorage } from '../plugin/registry.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const context: PluginContext = { logger: quiet }

/** The storage that a command works on: the first of the configuration. */
export async function openConfiguredStorage(config: Config): Promise<Storage> {
  const [reference] = config.storages
  if (reference === undefined) throw new Failure('NoStorage', 500, 'no storage is configured')
  return await openReferenced(reference, config)
}

/** A storage that a person names by where it is: a directory, or `gs://bucket/prefix`. */
export async function openStorageAt(place: string, config: Config): Promise<Storage> {
  const endpoint = config.gcsEndpoint === undefined ? {} : { endpoint: config.gcsEndpoint }
  const reference = place.startsWith('gs://')
    ? { plugin: 'gcs', bucket: place, ...endpoint }
    : { plugin: 'local', directory: place, create: false }
  return await openReferenced(reference, config)
}

/** A storage, as commands open it. */
export async function openReferenced(reference: PluginReference, config: Config): Promise<Storage> {
  return await openStorage(reference, context, { timeout: config.storageTimeout, retries: 3, observe() {} })
}
