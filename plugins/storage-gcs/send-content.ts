import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import {
  assertContent,
  type ContentHasher,
  type ContentSource,
  type Expectation,
  type OperationOptions,
} from 'mirrorface/plugin'

/** Sends the content through an upload, which is closed, and so becomes an object, only if it is right. */
export async function streamContent(
  upload: Writable,
  key: string,
  content: ContentSource,
  expect: Expectation,
  hasher: ContentHasher,
  { signal }: OperationOptions,
): Promise<void> {
  using hash = hasher.start(expect.size)
  const uploaded = finished(upload)
  uploaded.catch(() => undefined) // awaited below; a failure of the source is told first
  let size = 0
  try {
    for await (const chunk of content(0)) {
      signal?.throwIfAborted()
      size += chunk.length
      await hash.update(chunk)
      await push(upload, chunk)
    }
    await assertContent(key, expect, size, hash)
    upload.end()
    await uploaded
  } catch (error) {
    upload.destroy() // what was not closed is no object
    throw error
  }
}

/** Resolves when there is room for more. The upload keeps what it is given, to send it again after a fault: so a copy. */
async function push(upload: Writable, chunk: Buffer): Promise<void> {
  if (upload.write(Buffer.from(chunk))) return
  const stop = new AbortController()
  try {
    // Whichever comes first; `error` also ends the wait, by rejecting.
    await Promise.race([once(upload, 'drain', stop), once(upload, 'close', stop)])
    if (upload.destroyed) throw upload.errored ?? new Error('the upload was closed')
  } finally {
    stop.abort()
  }
}
