import type { ContentHasher } from '../content-hash.ts'
import type { ContentSource, Expectation, ObjectStat, OperationOptions } from '../storage.ts'
import { assertContent } from './assert-content.ts'
import { Crc32c } from './crc32c.ts'
import { partsOf } from './cut-into-parts.ts'

/** An upload of which the parts are no object until it is completed. */
export interface PartedUpload {
  /** `bytes` must not be kept once it has resolved. Parts are numbered from 0. */
  sendPart(index: number, bytes: Buffer): Promise<void>
  /** Makes one object of the parts that were sent. */
  complete(size: number, crc32c: Crc32c): Promise<ObjectStat>
  /** Forgets what was sent. It does not reject. */
  abort(): Promise<void>
}

export interface PartedContent {
  readonly key: string
  readonly content: ContentSource
  readonly expect: Expectation
  /** Bytes; two parts are held in memory. */
  readonly partSize: number
  readonly hasher: ContentHasher
}

/** Sends content in parts, one on its way while the next is received, and completes the upload only if all of it is right. */
export async function uploadInParts(
  upload: PartedUpload,
  { key, content, expect, partSize, hasher }: PartedContent,
  { signal }: OperationOptions,
): Promise<ObjectStat> {
  using hash = hasher.start(expect.size)
  const crc32c = new Crc32c()
  const take = async (bytes: Buffer): Promise<void> => {
    signal?.throwIfAborted()
    crc32c.update(bytes)
    await hash.update(bytes)
  }
  let sending: Promise<void> = Promise.resolve()
  let parts = 0
  let size = 0
  try {
    for await (const bytes of partsOf(key, content(0), expect.size ?? Number.POSITIVE_INFINITY, partSize, take)) {
      await sending
      sending = upload.sendPart(parts++, bytes)
      sending.catch(() => undefined) // awaited above and below
      size += bytes.length
    }
    await sending
    if (parts === 0) await upload.sendPart(0, Buffer.alloc(0))
    await assertContent(key, expect, size, hash)
    return await upload.complete(size, crc32c)
  } catch (error) {
    await Promise.allSettled([sending])
    await upload.abort()
    throw error
  }
}
