import { Conflict, type Storage } from '../plugin/index.ts'
import { layoutVersion, markerKey } from './layout.ts'
import { parseMarker } from './manifest.ts'
import { readText, writeJson, writerOf } from './objects.ts'

/** Refuses a storage that is read-only or of a layout that we don't know, before anything is fetched. */
export async function assertWritable(storage: Storage): Promise<void> {
  writerOf(storage)
  const text = await readText(storage, markerKey)
  if (text !== undefined) parseMarker(markerKey, text)
}

/** Says which layout lies here: earlier versions, which know nothing of claims, then refuse to write. */
export async function writeMarker(storage: Storage): Promise<void> {
  const writer = writerOf(storage)
  const found = await writer.load(markerKey)
  if (found !== undefined && parseMarker(markerKey, found.bytes.toString()) === layoutVersion) return
  const condition = found === undefined ? { ifAbsent: true as const } : { ifGeneration: found.generation }
  await writeJson(writer, markerKey, { layout: layoutVersion }, condition).catch((error: unknown) => {
    if (!(error instanceof Conflict)) throw error // another writer has just said the same
  })
}
