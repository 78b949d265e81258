import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { Bucket } from '@google-cloud/storage'
import { type ByteRange, ContentMismatch, Crc32c, type OperationOptions } from 'mirrorface/plugin'
import { isTransient } from './gcs-errors.ts'
import { retryTransient } from './retry-transient.ts'

export interface ReadOptions extends OperationOptions {
  /** Absent: the whole object, whose checksum is compared. */
  readonly range?: ByteRange | undefined
  /** Absent: the newest. */
  readonly generation?: string | number | undefined
}

interface Opened {
  readonly body: Readable
  /** As the service names the version that it sends. */
  readonly generation: string | undefined
  /** Of the whole object, base64; `undefined` where the service doesn't give it or sends other bytes than those stored. */
  readonly crc32c: string | undefined
}

/**
 * Opens an object for reading. A connection that breaks is taken up again behind the last byte, of the
 * same generation. Rejects, and its stream fails, with the client's errors. The stream is the caller's to destroy.
 */
export async function openRead(bucket: Bucket, name: string, options: ReadOptions): Promise<Readable> {
  const { range, signal } = options
  const begin = range?.start ?? 0
  const openAt = async (offset: number, generation: string | number | undefined): Promise<Opened> => {
    const start = begin + offset
    const part = start === 0 && range === undefined ? undefined : { start, end: range?.end }
    return await retryTransient(() => openOnce(bucket, name, part, generation), signal === undefined ? {} : { signal })
  }
  const first = await openAt(0, options.generation)
  let { body } = first
  const bytes = async function* (): AsyncGenerator<Buffer> {
    const crc32c = new Crc32c()
    for (let offset = 0; ; ) {
      try {
        for await (const chunk of body as AsyncIterable<Buffer>) {
          offset += chunk.length
          if (range === undefined) crc32c.update(chunk)
          yield chunk
        }
        break
      } catch (error) {
        // Of another generation the rest would be the rest of something else.
        if (!isTransient(error) || first.generation === undefined) throw error
        body = (await openAt(offset, first.generation)).body
      }
    }
    if (range === undefined && first.crc32c !== undefined && first.crc32c !== crc32c.toString())
      throw new ContentMismatch(name, `CRC-32C ${first.crc32c}`, crc32c.toString())
  }
  const stream = Readable.from(bytes(), { objectMode: false, highWaterMark: 1 << 20 })
  // A generator that was never begun does not clean up behind itself.
  return stream.once('close', () => body.destroy())
}

async function openOnce(
  bucket: Bucket,
  name: string,
  range: { readonly start: number; readonly end: number | undefined } | undefined,
  generation: string | number | undefined,
): Promise<Opened> {
  const file = bucket.file(name, generation === undefined ? {} : { generation })
  const body = file.createReadStream({
    decompress: false,
    validation: false,
    ...(range && { start: range.start, ...(range.end !== undefined && { end: range.end }) }),
  })
  body.on('error', () => undefined) // whoever reads is told; until then nobody listens
  body.read(0) // the client asks the service only when somebody reads
  const [{ statusCode, headers }] = (await once(body, 'response')) as [
    { readonly statusCode: number; readonly headers: Readonly<Record<string, string>> },
  ]
  if (statusCode >= 300) {
    await once(body, 'close') // an error comes first, and rejects
    throw new Error(`the service answered ${statusCode}`)
  }
  const isAsStored = headers['x-goog-stored-content-encoding'] === 'identity'
  return {
    body,
    generation: headers['x-goog-generation'],
    crc32c: isAsStored ? /(?:^|,) *crc32c=([^,]+)/.exec(headers['x-goog-hash'] ?? '')?.[1] : undefined,
  }
}
