import { ContentMismatch } from '../errors.ts'

/**
 * A body cut into parts, each filled whole before it is yielded; its memory is reused for the part after the next.
 * `size` in bytes is what the body may have at most, `Infinity` where that is not known; `take` gets every piece first.
 */
export async function* partsOf(
  key: string,
  body: AsyncIterable<Buffer>,
  size: number,
  partSize: number,
  take: (bytes: Buffer) => Promise<void>,
): AsyncGenerator<Buffer> {
  const memories = [partSize, partSize].map((length) => Buffer.allocUnsafeSlow(Math.min(length, size)))
  let received = 0
  let filled = 0
  let turn = 0
  for await (const bytes of body) {
    received += bytes.length
    if (received > size) throw new ContentMismatch(key, `${size} bytes`, 'more')
    await take(bytes)
    for (let offset = 0; offset < bytes.length; ) {
      const memory = memories[turn % 2] as Buffer
      const copied = bytes.copy(memory, filled, offset)
      filled += copied
      offset += copied
      if (filled < memory.length) continue
      yield memory
      filled = 0
      turn++
    }
  }
  if (filled > 0) yield (memories[turn % 2] as Buffer).subarray(0, filled)
}
