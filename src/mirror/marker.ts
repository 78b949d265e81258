import type { Storage } from '../plugin/index.ts'
import { layoutVersion, markerKey } from './layout.ts'
import { assertMarker } from './manifest.ts'
import { readText, writeJson, writerOf } from './objects.ts'

/** Refuses a storage that is read-only or of a layout that we don't know, before anything is fetched. */
export async function assertWritable(storage: Storage): Promise<void> {
  writerOf(storage)
  const text = await readText(storage, markerKey)
  if (text !== undefined) assertMarker(markerKey, text)
}

/** Says which layout lies here, for the versions to come. */
export async function writeMarker(storage: Storage): Promise<void> {
  if ((await storage.stat(markerKey)) === undefined) {
    await writeJson(writerOf(storage), markerKey, { layout: layoutVersion })
  }
}
