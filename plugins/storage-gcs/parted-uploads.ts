import type { Bucket, File, FileMetadata } from '@google-cloud/storage'
import {
  assertContent,
  type ContentHasher,
  ContentMismatch,
  type ContentSource,
  Crc32c,
  type Expectation,
  type OperationOptions,
  partsOf,
} from 'mirrorface/plugin'
import pMap from 'p-map'
import { statusOf } from './gcs-errors.ts'
import { openRead } from './resumed-read.ts'
import { retryTransient } from './retry-transient.ts'

/** Parts of uploads under way lie here, outside every key that the layout makes. */
export const unfinishedPrefix = '.unfinished/'

/** The service composes at most so many objects at a time. */
const mostComposed = 32

/** Groups of so many that are composed side by side. */
const composedAtATime = 4

const contentType = 'application/octet-stream'

export type WholeExpectation = Expectation & { readonly sha256: string; readonly size: number }

/** An object, or a piece of one, whose content is certain. */
interface Part {
  readonly name: string
  readonly generation: string | number
  readonly size: number
}

/**
 * Uploads of large objects in parts, each sent from memory, so that it can be sent again after a
 * fault; they are composed at the end. After a crash the parts that are whole stay, and the next
 * write goes on behind them: it reads them back once, for the hash of the whole. Parts are pinned by
 * generation, so that two writers of one object can't mix.
 */
export class PartedUploads {
  readonly partSize: number
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly #hasher: ContentHasher

  /** `partSize` in bytes; a write holds two parts in memory. */
  constructor(bucket: Bucket, prefix: string, partSize: number, hasher: ContentHasher) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.partSize = partSize
    this.#hasher = hasher
  }

  /** `generation` is what the object must be at when it is made: 0 for absent; `undefined`: whatever it is at. */
  async write(
    key: string,
    content: ContentSource,
    expect: WholeExpectation,
    generation: number | string | undefined,
    options: OperationOptions,
  ): Promise<void> {
    using hash = this.#hasher.start(expect.size)
    const crc32c = new Crc32c()
    const take = async (bytes: Buffer): Promise<void> => {
      options.signal?.throwIfAborted()
      crc32c.update(bytes)
      await hash.update(bytes)
    }
    const parts = await this.#wholeParts(expect, take)
    const start = sizeOf(parts)
    let uploading: Promise<unknown> = Promise.resolve()
    try {
      for await (const bytes of partsOf(key, content(start), expect.size - start, this.partSize, take)) {
        // One part is sent while the next is received: their memory takes turns.
        await uploading
        const index = parts.length
        parts.push({ name: '', generation: 0, size: bytes.length })
        uploading = this.#uploadPart(this.#partFile(expect.sha256, index), bytes).then((part) => {
          parts[index] = part
        })
        uploading.catch(() => undefined) // awaited above and below
      }
      await uploading
      await assertContent(key, expect, sizeOf(parts), hash)
      await this.#compose(key, parts, expect, generation, crc32c)
    } catch (error) {
      await Promise.allSettled([uploading])
      // Parts of wrong content are of no use to the next attempt.
      if (error instanceof ContentMismatch) await this.#deleteUnfinished(expect.sha256)
      throw error
    }
    await this.#deleteUnfinished(expect.sha256)
  }

  /** The parts that an earlier attempt left, as far as they are without a gap; `take` gets their bytes. */
  async #wholeParts(expect: WholeExpectation, take: (bytes: Buffer) => Promise<void>): Promise<Part[]> {
    const found = new Map((await this.#unfinishedFiles(expect.sha256)).map((file) => [file.name, file]))
    const parts: Part[] = []
    for (let offset = 0; offset < expect.size; offset += this.partSize) {
      const { name } = this.#partFile(expect.sha256, parts.length)
      const { generation, size } = found.get(name)?.metadata ?? {}
      const expected = Math.min(this.partSize, expect.size - offset)
      if (generation === undefined || Number(size) !== expected) break
      for await (const bytes of await openRead(this.#bucket, name, { generation })) await take(bytes)
      parts.push({ name, generation, size: expected })
    }
    return parts
  }

  async #uploadPart(file: File, bytes: Buffer): Promise<Part> {
    const crc32c = new Crc32c()
    crc32c.update(bytes)
    try {
      // The service itself refuses bytes of another checksum.
      const metadata = { contentType, crc32c: crc32c.toString() }
      const condition = { preconditionOpts: { ifGenerationMatch: 0 } }
      await retryTransient(() => file.save(bytes, { resumable: false, metadata, ...condition }))
    } catch (error) {
      if (statusOf(error) !== 412) throw error
      // Another writer was faster with this part, or an answer was lost: it serves if its bytes are ours.
      await retryTransient(() => file.getMetadata())
    }
    assertCrc32c(file, bytes.length, crc32c)
    return { name: file.name, generation: file.metadata.generation ?? 0, size: bytes.length }
  }

  /** Makes any number of parts one object, in rounds of at most 32. */
  async #compose(
    key: string,
    parts: readonly Part[],
    { sha256, size }: WholeExpectation,
    generation: number | string | undefined,
    crc32c: Crc32c,
  ): Promise<void> {
    let sources = parts
    for (let round = 0; sources.length > mostComposed; round++) {
      const groups = Array.from({ length: Math.ceil(sources.length / mostComposed) }, (_, index) =>
        sources.slice(index * mostComposed, (index + 1) * mostComposed),
      )
      const compose = async (group: readonly Part[], index: number): Promise<Part> => {
        const file = this.#bucket.file(`${this.#folderOf(sha256)}/${this.partSize}-round-${round}-${index}`)
        await this.#composeOnce(file, group, 0, {}).catch(async (error: unknown) => {
          if (statusOf(error) !== 412) throw error
          await retryTransient(() => file.getMetadata()) // another writer's, of the same parts
        })
        const total = sizeOf(group)
        if (Number(file.metadata.size) !== total)
          throw new ContentMismatch(file.name, `${total} bytes`, String(file.metadata.size))
        return { name: file.name, generation: file.metadata.generation ?? 0, size: total }
      }
      sources = await pMap(groups, compose, { concurrency: composedAtATime })
    }
    const target = this.#bucket.file(this.#prefix + key)
    await this.#composeOnce(target, sources, generation, { sha256 })
    try {
      assertCrc32c(target, size, crc32c)
    } catch (error) {
      await retryTransient(() => target.delete({ ignoreNotFound: true }))
      throw error
    }
  }

  /** `generation` is what the target must be at: 0 for absent. Its metadata is then the new object's. */
  async #composeOnce(
    target: File,
    sources: readonly Part[],
    generation: number | string | undefined,
    metadata: Record<string, string>,
  ): Promise<void> {
    // The client's own `combine` has no way to give metadata, without which the object would be there unfinished.
    const compose = () =>
      target.request({
        method: 'POST',
        uri: '/compose',
        json: {
          destination: { contentType, metadata },
          sourceObjects: sources.map(({ name, generation: of }) => ({ name, generation: Number(of) })),
        },
        qs: generation === undefined ? {} : { ifGenerationMatch: generation },
      })
    const [composed] = await retryTransient(compose)
    target.metadata = composed as FileMetadata
  }

  /** Deletes the parts of uploads of which nothing has been written since `before`; resolves to their bytes. */
  async discard(before: Date, dryRun: boolean): Promise<number> {
    let freed = 0
    const uploads = Object.groupBy(await this.#unfinishedFiles(''), ({ name }) => name.slice(0, name.lastIndexOf('/')))
    for (const files of Object.values(uploads)) {
      // The first parts of a long upload are old while its last are being sent.
      if (files === undefined || files.some(({ metadata }) => new Date(metadata.updated ?? 0) >= before)) continue
      freed += files.reduce((sum, { metadata }) => sum + Number(metadata.size), 0)
      if (!dryRun) await deleteAll(files)
    }
    return freed
  }

  #folderOf(sha256: string): string {
    return `${this.#prefix}${unfinishedPrefix}${sha256}`
  }

  #partFile(sha256: string, index: number): File {
    const name = `${this.#folderOf(sha256)}/${this.partSize}-${String(index).padStart(5, '0')}`
    return this.#bucket.file(name, { crc32cGenerator: () => new Crc32c() })
  }

  async #unfinishedFiles(sha256: string): Promise<File[]> {
    const [files] = await retryTransient(() => this.#bucket.getFiles({ prefix: this.#folderOf(sha256) }))
    return files
  }

  async #deleteUnfinished(sha256: string): Promise<void> {
    await deleteAll(await this.#unfinishedFiles(sha256))
  }
}

async function deleteAll(files: readonly File[]): Promise<void> {
  for (const file of files) await retryTransient(async () => await file.delete({ ignoreNotFound: true }))
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.size, 0)
}

/** The service's word on an object against what was sent. */
function assertCrc32c({ name, metadata }: File, size: number, crc32c: Crc32c): void {
  if (Number(metadata.size) === size && metadata.crc32c === crc32c.toString()) return
  throw new ContentMismatch(name, `${size} bytes, CRC-32C ${crc32c.toString()}`, `${metadata.size}, ${metadata.crc32c}`)
}
