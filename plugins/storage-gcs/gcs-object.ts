import { buffer } from 'node:stream/consumers'
import type { Bucket, FileMetadata } from '@google-cloud/storage'
import { Crc32c, type LoadedObject, type ObjectStat } from 'mirrorface/plugin'
import { isMissingObject } from './gcs-errors.ts'

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
export async function statObject(bucket: Bucket, prefix: string, key: string): Promise<ObjectStat | undefined> {
  try {
    const [metadata] = await bucket.file(prefix + key).getMetadata()
    return toStat(prefix, metadata)
  } catch (error) {
    if (isMissingObject(error)) return undefined
    throw error
  }
}

/** An object's bytes and the generation that they have: the read is pinned to it. Rejects with the client's errors. */
export async function loadObject(bucket: Bucket, prefix: string, key: string): Promise<LoadedObject | undefined> {
  for (;;) {
    try {
      const [metadata] = await bucket.file(prefix + key).getMetadata()
      const generation = String(metadata.generation)
      const pinned = bucket.file(prefix + key, { generation, crc32cGenerator: () => new Crc32c() })
      try {
        const bytes = await buffer(pinned.createReadStream({ decompress: false, validation: 'crc32c' }))
        return { ...toStat(prefix, metadata), generation, bytes }
      } catch (error) {
        if (!isMissingObject(error)) throw error // otherwise it was replaced meanwhile
      }
    } catch (error) {
      if (isMissingObject(error)) return undefined
      throw error
    }
  }
}
