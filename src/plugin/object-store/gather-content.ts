import type { ContentHasher } from '../content-hash.ts'
import { ContentMismatch } from '../errors.ts'
import type { ContentSource, Expectation, OperationOptions } from '../storage.ts'
import { assertContent } from './assert-content.ts'

/** The whole content in memory, checked. */
export async function gatherContent(
  key: string,
  content: ContentSource,
  expect: Expectation,
  hasher: ContentHasher,
  { signal }: OperationOptions,
): Promise<Buffer> {
  using hash = hasher.start(expect.size)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of content(0)) {
    signal?.throwIfAborted()
    size += chunk.length
    if (size > (expect.size ?? size)) throw new ContentMismatch(key, `${expect.size} bytes`, 'more')
    await hash.update(chunk)
    chunks.push(Buffer.from(chunk))
  }
  await assertContent(key, expect, size, hash)
  return Buffer.concat(chunks, size)
}
