import { addAbortSignal, Readable } from 'node:stream'
import { GetObjectCommand, ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import {
  type ByteRange,
  type LocateOptions,
  type Location,
  ObjectNotFound,
  type ObjectStat,
  type OperationOptions,
  retryTransient,
  type Storage,
  StorageUnavailable,
  type StorageWriter,
  unlessAborted,
  writeObjects,
} from 'mirrorface/plugin'
import { openBucket, type S3Bucket, type S3StorageOptions } from './s3-bucket.ts'
import { isMissingObject, isTransient, unavailable } from './s3-errors.ts'
import { bodyOf, checked, getObject, signalOf, statObject } from './s3-object.ts'
import { S3Service } from './s3-service.ts'

export async function openS3Storage(options: S3StorageOptions): Promise<Storage> {
  return new S3Storage(options)
}

/** Objects in a bucket of Amazon S3, or of a service that speaks its protocol. */
class S3Storage implements Storage {
  readonly name = 's3'
  readonly locates = 'url'
  readonly writer: StorageWriter
  readonly #bucket: S3Bucket
  readonly #signedUrlLifetime: number

  constructor(options: S3StorageOptions) {
    this.#bucket = openBucket(options)
    this.#signedUrlLifetime = options.signedUrlLifetime
    this.writer = writeObjects(new S3Service(this.#bucket, options.partSize))
  }

  async stat(key: string, options: OperationOptions = {}): Promise<ObjectStat | undefined> {
    const found = await this.#asked(() => statObject(this.#bucket, key, options), options)
    if (found === undefined) return undefined
    const { writer: _, ...stat } = found
    return stat
  }

  async read(key: string, options: OperationOptions & { range?: ByteRange } = {}): Promise<Readable> {
    const { range, signal } = options
    const header = range === undefined ? undefined : `bytes=${range.start}-${range.end}`
    const found = await this.#asked(async () => {
      try {
        return await getObject(this.#bucket, key, header, options)
      } catch (error) {
        if (isMissingObject(error)) throw new ObjectNotFound(this.name, key)
        throw error
      }
    }, options)
    const body = bodyOf(found)
    // Of a part there is no checksum; the bytes are compared on whole reads only.
    const bytes =
      range === undefined ? Readable.from(checked(key, body, found.ChecksumCRC32C), { objectMode: false }) : body
    return signal === undefined ? bytes : addAbortSignal(signal, bytes)
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncGenerator<ObjectStat> {
    for await (const { Contents = [] } of this.#pages(prefix, undefined, options)) {
      for (const { Key = '', Size = 0, LastModified = new Date(0), ETag } of Contents) {
        if (Key.endsWith('/')) continue // a folder, as consoles make them
        const key = Key.slice(this.#bucket.prefix.length)
        yield { key, size: Size, updatedAt: LastModified, ...(ETag !== undefined && { generation: ETag }) }
      }
    }
  }

  async children(prefix: string, options: OperationOptions = {}): Promise<string[]> {
    const base = this.#folderOf(prefix).length
    const names: string[] = []
    for await (const { Contents = [], CommonPrefixes = [] } of this.#pages(prefix, '/', options)) {
      for (const { Prefix = '' } of CommonPrefixes) names.push(Prefix.slice(base).replace(/\/$/, ''))
      for (const { Key = '' } of Contents) names.push(Key.slice(base))
    }
    return names.filter((name) => name !== '')
  }

  async ready({ signal }: OperationOptions = {}): Promise<void> {
    const { client, name, prefix } = this.#bucket
    let awaited = 'AWS credentials: with none in the environment, they are the metadata service’s to give'
    const check = async (): Promise<void> => {
      await client.config.credentials()
      awaited = `an answer about bucket ${name}`
      await client.send(new ListObjectsV2Command({ Bucket: name, Prefix: `${prefix}mirrorface.json`, MaxKeys: 1 }))
    }
    const checking = check().catch((error: unknown) => {
      throw unavailable(name, error)
    })
    await unlessAborted(checking, signal, () => new StorageUnavailable(this.name, `it still waits for ${awaited}`))
  }

  async close(): Promise<void> {
    this.#bucket.client.destroy()
  }

  async locate(key: string, options: LocateOptions): Promise<Location | undefined> {
    const { client, name, prefix } = this.#bucket
    return await this.#asked(async () => {
      // A URL holds no longer than the credentials that signed it.
      const { expiration } = await client.config.credentials()
      const until = Date.now() + this.#signedUrlLifetime * 1000
      const expires = new Date(Math.min(until, expiration?.getTime() ?? until))
      const command = new GetObjectCommand({
        Bucket: name,
        Key: prefix + key,
        ...(options.contentType !== undefined && { ResponseContentType: options.contentType }),
        ...(options.contentDisposition !== undefined && { ResponseContentDisposition: options.contentDisposition }),
      })
      const url = await getSignedUrl(client, command, { expiresIn: this.#signedUrlLifetime })
      return { kind: 'url', url, expires }
    }, options)
  }

  #folderOf(prefix: string): string {
    const folder = prefix.replace(/\/$/, '')
    return this.#bucket.prefix + (folder === '' ? '' : `${folder}/`)
  }

  async *#pages(
    prefix: string,
    delimiter: string | undefined,
    options: OperationOptions,
  ): AsyncGenerator<ListObjectsV2CommandOutput> {
    let token: string | undefined
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket.name,
        Prefix: this.#folderOf(prefix),
        ...(delimiter !== undefined && { Delimiter: delimiter }),
        ...(token !== undefined && { ContinuationToken: token }),
      })
      const page = await this.#asked(async () => await this.#bucket.client.send(command, signalOf(options)), options)
      yield page
      token = page.NextContinuationToken
    } while (token !== undefined && token !== '')
  }

  async #asked<T>(act: () => Promise<T>, options: OperationOptions): Promise<T> {
    try {
      return await retryTransient(act, isTransient, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw error instanceof ObjectNotFound ? error : unavailable(this.#bucket.name, error)
    }
  }
}
