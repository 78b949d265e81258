import { Failure } from '../hub/index.ts'
import type {
  ContentSource,
  ObjectStat,
  OperationOptions,
  Storage,
  StorageWriter,
  WriteOptions,
} from '../plugin/index.ts'

/** The largest manifest that is read: 50,000 files take some 15 MB. */
const largestJson = 256 * 1024 * 1024

/** A small object's text; `undefined` where none is. */
export async function readText(
  storage: Storage,
  key: string,
  options: OperationOptions = {},
): Promise<string | undefined> {
  const found = await readObject(storage, key, options)
  return found?.toString('utf8')
}

async function readObject(storage: Storage, key: string, options: OperationOptions): Promise<Buffer | undefined> {
  try {
    const body = await storage.read(key, options)
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body) {
      chunks.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (size > largestJson) throw new Failure('ObjectTooLarge', 500, `${key} is larger than ${largestJson} bytes`)
    }
    return Buffer.concat(chunks, size)
  } catch (error) {
    if (error instanceof Failure && error.code === 'ObjectNotFound') return undefined
    throw error
  }
}

/**
 * A listing, whole or not at all. Handed the iterator itself, `p-map` may resolve although a page has
 * failed: after an error the iterator tells its other readers that it is done, and that may win. A
 * sweep would then take what was not listed for unneeded.
 */
export async function listObjects(
  storage: Storage,
  prefix: string,
  options: OperationOptions = {},
): Promise<ObjectStat[]> {
  return await Array.fromAsync(storage.list(prefix, options))
}

/** What tells one version of an object from another; empty where there is none. */
export function stampOf(found: ObjectStat | undefined): string {
  return found === undefined ? '' : `${found.generation ?? ''} ${found.updatedAt.getTime()} ${found.size}`
}

/** Content held in memory, as a writer wants it. */
export function contentOf(bytes: Buffer): ContentSource {
  return async function* (start) {
    yield bytes.subarray(start)
  }
}

export async function writeJson(
  writer: StorageWriter,
  key: string,
  value: unknown,
  options: WriteOptions = {},
): Promise<ObjectStat> {
  const bytes = Buffer.from(`${JSON.stringify(value, undefined, 1)}\n`)
  return await writer.write(key, contentOf(bytes), { size: bytes.length }, options)
}

/** The storage's writer, or a failure that says why nothing can be written. */
export function writerOf(storage: Storage): StorageWriter {
  if (storage.writer === undefined) {
    throw new Failure(
      'ReadOnlyStorage',
      400,
      `storage ${storage.name} is read-only: mirror into a local directory or a bucket`,
    )
  }
  return storage.writer
}
