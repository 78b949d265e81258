import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ContentMismatch, Crc32c, type LoadedObject, type ObjectStat, type OperationOptions } from 'mirrorface/plugin'
import type { AzureContainer } from './azure-container.ts'
import { isMissingBlob } from './azure-errors.ts'

export function signalOf({ signal }: OperationOptions): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}

/** The service's word on a blob. */
interface Described {
  readonly contentLength?: number
  readonly lastModified?: Date
  readonly etag?: string
}

/** Listings have ETags without quotes. */
export function generationOf(etag: string | undefined): string | undefined {
  return etag?.replaceAll('"', '')
}

export function toStat(key: string, { contentLength = 0, lastModified, etag }: Described): ObjectStat {
  const generation = generationOf(etag)
  return {
    key,
    size: contentLength,
    updatedAt: lastModified ?? new Date(0),
    ...(generation !== undefined && { generation }),
  }
}

/** `undefined` where there is no such blob. Rejects with the SDK's errors. */
export async function statBlob(
  { client, prefix }: AzureContainer,
  key: string,
  options: OperationOptions,
): Promise<(ObjectStat & { readonly writer?: string }) | undefined> {
  try {
    const found = await client.getBlobClient(prefix + key).getProperties(signalOf(options))
    const writer = found.metadata?.writer
    return { ...toStat(key, found), ...(writer !== undefined && { writer }) }
  } catch (error) {
    if (isMissingBlob(error)) return undefined
    throw error
  }
}

export interface BlobRange {
  readonly offset: number
  readonly count?: number
}

export interface ReadBlob {
  readonly stat: ObjectStat
  /** Fails at its end where a whole blob's bytes are not those that were written. */
  readonly body: Readable
}

/** Rejects with the SDK's errors, before any byte. */
export async function readBlob(
  { client, prefix }: AzureContainer,
  key: string,
  range: BlobRange | undefined,
  options: OperationOptions,
): Promise<ReadBlob> {
  const found = await client.getBlobClient(prefix + key).download(range?.offset ?? 0, range?.count, signalOf(options))
  const body = Readable.from(found.readableStreamBody ?? [], { objectMode: false })
  const crc32c = found.metadata?.crc32c
  return {
    stat: toStat(key, found),
    // Of a part there is no checksum; the bytes are compared on whole reads only.
    body:
      range === undefined && crc32c !== undefined
        ? Readable.from(checked(key, body, crc32c), { objectMode: false })
        : body,
  }
}

/** A blob's bytes with the generation that they have; both are of one response. Rejects with the SDK's errors. */
export async function loadBlob(
  container: AzureContainer,
  key: string,
  options: OperationOptions,
): Promise<LoadedObject | undefined> {
  try {
    const { stat, body } = await readBlob(container, key, undefined, options)
    const bytes = await buffer(body)
    return { ...stat, size: bytes.length, generation: stat.generation ?? '', bytes }
  } catch (error) {
    if (isMissingBlob(error)) return undefined
    throw error
  }
}

async function* checked(key: string, body: Readable, checksum: string): AsyncGenerator<Buffer, void, void> {
  const crc32c = new Crc32c()
  for await (const bytes of body) {
    crc32c.update(bytes)
    yield bytes
  }
  if (!crc32c.validate(checksum)) throw new ContentMismatch(key, `CRC-32C ${checksum}`, crc32c.toString())
}
