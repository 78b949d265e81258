import { buffer } from 'node:stream/consumers'
import type { Bucket, FileMetadata } from '@google-cloud/storage'
import type { LoadedObject, ObjectStat, OperationOptions } from 'mirrorface/plugin'
import { isMissingObject } from './gcs-errors.ts'
import { openRead } from './resumed-read.ts'
import { retryTransient } from './retry-transient.ts'

/** The service's word on an object whose name begins with the storage's prefix. */
export function toStat(prefix: string, metadata: FileMetadata): ObjectStat {
  return {
    key: (metadata.name ?? '').slice(prefix.length),
    size: Number(metadata.size),
    updatedAt: new Date(metadata.updated ?? 0),
    ...(metadata.crc32c !== undefined && { crc32c: metadata.crc32c }),
    ...(metadata.generation !== undefined && { generation: String(metadata.generation) }),
  }
}

/** `undefined` where there is no such object. Rejects with the client's errors. */
export async function statObject(
  bucket: Bucket,
  prefix: string,
  key: string,
  options: OperationOptions = {},
): Promise<ObjectStat | undefined> {
  try {
    const [metadata] = await retryTransient(() => bucket.file(prefix + key).getMetadata(), options)
    return toStat(prefix, metadata)
  } catch (error) {
    if (isMissingObject(error)) return undefined
    throw error
  }
}

/** An object's bytes and the generation that they have: the read is pinned to it. Rejects with the client's errors. */
export async function loadObject(
  bucket: Bucket,
  prefix: string,
  key: string,
  options: OperationOptions = {},
): Promise<LoadedObject | undefined> {
  for (;;) {
    const stat = await statObject(bucket, prefix, key, options)
    if (stat?.generation === undefined) return undefined
    const { generation } = stat
    try {
      const bytes = await buffer(await openRead(bucket, prefix + key, { ...options, generation }))
      return { ...stat, generation, bytes }
    } catch (error) {
      if (!isMissingObject(error)) throw error // otherwise it was replaced meanwhile
    }
  }
}
