import { PassThrough, pipeline, type Readable } from 'node:stream'
import type { ReadingBudget } from 'mirrorface/plugin'

/**
 * A body that is small enough as bytes; otherwise as a stream of all of it, what was read already included. A body that is
 * announced as too large is not read at all.
 *
 * @param announced `Content-Length`, if any.
 */
export async function readBounded(
  body: Readable,
  announced: number | undefined,
  limit: number,
  budget: ReadingBudget,
): Promise<Uint8Array | Readable> {
  if (announced !== undefined && announced > limit) return body
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      const bytes: Buffer = chunk
      chunks.push(bytes)
      if (!budget.tryTake(bytes.length)) return together(chunks, body)
      size += bytes.length
      if (size > limit) return together(chunks, body)
    }
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)
  } finally {
    budget.give(size)
  }
}

function together(chunks: readonly Buffer[], rest: Readable): Readable {
  const whole = new PassThrough()
  for (const chunk of chunks) whole.write(chunk)
  pipeline(rest, whole, () => undefined) // the reader of `whole` learns of an error
  return whole
}
