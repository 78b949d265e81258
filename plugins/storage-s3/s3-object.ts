import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand } from '@aws-sdk/client-s3'
import type { LoadedObject, ObjectStat, OperationOptions } from 'mirrorface/plugin'
import { ContentMismatch, Crc32c } from 'mirrorface/plugin'
import type { S3Bucket } from './s3-bucket.ts'
import { isMissingObject } from './s3-errors.ts'

export function signalOf({ signal }: OperationOptions): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}

/** The service's word on an object. An ETag tells contents apart, and what changes has random bytes in it. */
interface Described {
  readonly ContentLength?: number | undefined
  readonly LastModified?: Date | undefined
  readonly ETag?: string | undefined
  readonly ChecksumCRC32C?: string | undefined
}

function toStat(key: string, { ContentLength, LastModified, ETag, ChecksumCRC32C }: Described): ObjectStat {
  return {
    key,
    size: ContentLength ?? 0,
    updatedAt: LastModified ?? new Date(0),
    ...(isOfWhole(ChecksumCRC32C) && { crc32c: ChecksumCRC32C }),
    ...(ETag !== undefined && { generation: ETag }),
  }
}

/** A checksum of the parts' checksums ends in their number. */
function isOfWhole(checksum: string | undefined): checksum is string {
  return checksum !== undefined && !checksum.includes('-')
}

/** `undefined` where there is no such object. Rejects with the SDK's errors. */
export async function statObject(
  { client, name, prefix, checksums }: S3Bucket,
  key: string,
  options: OperationOptions,
): Promise<(ObjectStat & { readonly writer?: string }) | undefined> {
  try {
    const found = await client.send(
      new HeadObjectCommand({ Bucket: name, Key: prefix + key, ...(checksums && { ChecksumMode: 'ENABLED' }) }),
      signalOf(options),
    )
    const writer = found.Metadata?.writer
    return { ...toStat(key, found), ...(writer !== undefined && { writer }) }
  } catch (error) {
    if (isMissingObject(error)) return undefined
    throw error
  }
}

/** An object's bytes with the generation that they have; both are of one response. Rejects with the SDK's errors. */
export async function loadObject(
  bucket: S3Bucket,
  key: string,
  options: OperationOptions,
): Promise<LoadedObject | undefined> {
  try {
    const found = await getObject(bucket, key, undefined, options)
    const bytes = await buffer(checked(key, bodyOf(found), found.ChecksumCRC32C))
    return { ...toStat(key, found), size: bytes.length, generation: found.ETag ?? '', bytes }
  } catch (error) {
    if (isMissingObject(error)) return undefined
    throw error
  }
}

/** @param range as the header has it; absent: the whole object */
export async function getObject(
  { client, name, prefix, checksums }: S3Bucket,
  key: string,
  range: string | undefined,
  options: OperationOptions,
): Promise<GetObjectCommandOutput> {
  const command = new GetObjectCommand({
    Bucket: name,
    Key: prefix + key,
    ...(range !== undefined && { Range: range }),
  })
  // As a parameter it would have the SDK compute the checksum too, in JavaScript.
  if (checksums && range === undefined)
    command.middlewareStack.add(
      (next) => async (step) => {
        const { request } = step
        if (request instanceof Object && 'headers' in request && request.headers instanceof Object)
          Object.assign(request.headers, { 'x-amz-checksum-mode': 'ENABLED' })
        return await next(step)
      },
      { step: 'build', name: 'askForChecksum' },
    )
  return await client.send(command, signalOf(options))
}

export function bodyOf({ Body }: GetObjectCommandOutput): Readable {
  if (Body instanceof Readable) return Body
  throw new TypeError('the SDK gives streams of Node in Node')
}

/** The bytes as they pass; fails at their end where they are not what the service has kept the checksum of. */
export async function* checked(
  key: string,
  body: Readable,
  checksum: string | undefined,
): AsyncGenerator<Buffer, void, void> {
  const crc32c = new Crc32c()
  for await (const bytes of body) {
    crc32c.update(bytes)
    yield bytes
  }
  if (isOfWhole(checksum) && !crc32c.validate(checksum))
    throw new ContentMismatch(key, `CRC-32C ${checksum}`, crc32c.toString())
}
