import { createHash } from 'node:crypto'
import type { ContentSource } from 'mirrorface/plugin'

/** Hands out the same memory for every piece, as the contract allows: who keeps a piece too long finds other bytes in it. */
export const content = (bytes: Buffer): ContentSource =>
  async function* (start) {
    const piece = Buffer.alloc(70_000)
    for (let offset = start; offset < bytes.length; offset += piece.length) {
      yield piece.subarray(0, bytes.copy(piece, 0, offset))
      piece.fill('?')
    }
  }

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Whether an error has a code. */
export const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected
