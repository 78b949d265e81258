import { resolve } from 'node:path'
import { Failure, UsageFailure } from '../hub/index.ts'
import type { PluginReference } from '../plugin/registry.ts'
import { readStorageUrl } from '../plugin/storage-urls.ts'

/** The settings that say where repositories are kept. */
export interface StorageSettings {
  readonly storages?: unknown
  readonly gcsBucket?: unknown
  readonly gcsMount?: unknown
  readonly localDirectory?: unknown
  readonly gcsEndpoint?: unknown
}

const ways = ['storages', 'gcsBucket', 'gcsMount', 'localDirectory'] as const

/**
 * Where repositories are kept, whichever setting said so. What was said most directly counts, by `strengthOf`; two
 * settings of one strength are a {@link UsageFailure}, as is a URL that names no storage (`place` says where it stands).
 */
export async function chooseStorages(
  values: StorageSettings,
  strengthOf: (name: (typeof ways)[number]) => number,
  place: string,
): Promise<readonly PluginReference[]> {
  const given = ways.filter((name) => values[name] !== undefined)
  const strongest = Math.max(...given.map(strengthOf))
  const [chosen, other] = given.filter((name) => strengthOf(name) === strongest)
  if (other !== undefined)
    throw new UsageFailure(`${chosen} and ${other}: give one of them, or list both under storages (--storage)`)
  switch (chosen) {
    case 'storages': {
      const references: PluginReference[] = []
      for (const entry of values.storages as readonly (string | PluginReference)[])
        references.push(typeof entry === 'string' ? await readPlaced(entry, values, place) : entry)
      return references
    }
    case 'gcsBucket':
      return [withEndpoint({ plugin: 'gcs', bucket: values.gcsBucket }, values)]
    case 'gcsMount':
      return [{ plugin: 'gcs-mount', directory: values.gcsMount }]
    default:
      return [{ plugin: 'local', directory: values.localDirectory }]
  }
}

/** A storage named by its URL, or a directory by its path, beside those of the configuration. */
export async function storageAt(text: string, settings: StorageSettings): Promise<PluginReference> {
  // A name alone was always a directory here.
  return withEndpoint(await readStorageUrl(/^[a-z][a-z0-9+.-]*:/i.test(text) ? text : resolve(text)), settings)
}

async function readPlaced(text: string, settings: StorageSettings, place: string): Promise<PluginReference> {
  try {
    return withEndpoint(await readStorageUrl(text), settings)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new UsageFailure(`${place}: ${error.message}`, { cause: error })
  }
}

function withEndpoint(reference: PluginReference, { gcsEndpoint }: StorageSettings): PluginReference {
  return reference.plugin === 'gcs' && gcsEndpoint !== undefined ? { endpoint: gcsEndpoint, ...reference } : reference
}
