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
  return await openReferencedStorage(reference, config)
}

export async function openReferencedStorage(reference: PluginReference, config: Config): Promise<Storage> {
  return await openStorage(reference, context, { timeout: config.storageTimeout, retries: 3, observe() {} })
}
