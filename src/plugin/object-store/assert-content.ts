import type { ContentHash } from '../content-hash.ts'
import { ContentMismatch } from '../errors.ts'
import type { Expectation } from '../storage.ts'

/** Compares what was received with what was expected; ends the hash. */
export async function assertContent(key: string, expect: Expectation, size: number, hash: ContentHash): Promise<void> {
  if (expect.size !== undefined && size !== expect.size)
    throw new ContentMismatch(key, `${expect.size} bytes`, String(size))
  const sha256 = await hash.digest()
  if (expect.sha256 !== undefined && sha256 !== expect.sha256) {
    throw new ContentMismatch(key, `SHA-256 ${expect.sha256}`, sha256)
  }
}
