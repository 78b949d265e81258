import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'

/** A file's bytes, wherever they come from, with the ids that git and LFS give them. */
export interface Content {
  readonly size: number
  /** Git's blob id of the content itself. */
  readonly oid: string
  readonly sha256: string
  /** Bytes `start` to `end`, both inclusive. */
  read(start: number, end: number): Readable
}

export function bytesContent(bytes: Buffer): Content {
  return {
    size: bytes.length,
    oid: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
    read: (start, end) => Readable.from([bytes.subarray(start, end + 1)], { objectMode: false }),
  }
}

export async function textOf(content: Content): Promise<string> {
  return await text(content.read(0, content.size - 1))
}

export async function fileContent(path: string): Promise<Content> {
  const { size } = await stat(path)
  const bytes = await readFile(path)
  return {
    ...bytesContent(bytes),
    size,
    read: (start, end) => createReadStream(path, { start, end, highWaterMark: 1 << 20 }),
  }
}

const blockSize = 1 << 20

/**
 * `size` bytes that look random, are the same for the same seed, and take no room: one block,
 * stamped with its number so that no two are alike.
 */
export function syntheticContent(size: number, seed = 1): Content {
  const block = Buffer.allocUnsafe(blockSize)
  for (let offset = 0, word = createHash('sha512').update(`seed ${seed}`).digest(); offset < blockSize; offset += 64) {
    word.copy(block, offset)
    word = createHash('sha512').update(word).digest()
  }
  const blockAt = (index: number): Buffer => {
    const copy = Buffer.from(block)
    copy.writeDoubleBE(index, 0)
    return copy
  }
  const hash = createHash('sha256')
  for (let offset = 0; offset < size; offset += blockSize) {
    hash.update(blockAt(offset / blockSize).subarray(0, Math.min(blockSize, size - offset)))
  }
  const sha256 = hash.digest('hex')
  return {
    size,
    oid: createHash('sha1').update(`synthetic ${size} ${seed}`).digest('hex'),
    sha256,
    read: (start, end) =>
      Readable.from(
        (function* () {
          for (let offset = start; offset <= end; ) {
            const index = Math.floor(offset / blockSize)
            const from = offset - index * blockSize
            const chunk = blockAt(index).subarray(from, Math.min(blockSize, from + end - offset + 1))
            offset += chunk.length
            yield chunk
          }
        })(),
        { objectMode: false, highWaterMark: blockSize },
      ),
  }
}
