import { addAbortSignal, type Readable } from 'node:stream'
import { type Bucket, type FileMetadata, Storage as GoogleStorage } from '@google-cloud/storage'
import {
  type ByteRange,
  type LocateOptions,
  type Location,
  ObjectNotFound,
  type ObjectStat,
  type OperationOptions,
  type Storage,
  StorageUnavailable,
  type StorageWriter,
  unlessAborted,
  writeObjects,
} from 'mirrorface/plugin'
import type { z } from 'zod'
import { cutStalledRequests } from './cut-stalled.ts'
import { isMissingObject, noCredentials, unavailable } from './gcs-errors.ts'
import { statObject, toStat } from './gcs-object.ts'
import { GcsService } from './gcs-service.ts'
import type { gcsStorageOptions } from './index.ts'
import { unfinishedPrefix } from './parted-uploads.ts'
import { openRead } from './resumed-read.ts'
import { retryTransient } from './retry-transient.ts'

export type GcsStorageOptions = z.output<typeof gcsStorageOptions>

export async function openGcsStorage(options: GcsStorageOptions): Promise<Storage> {
  return new GcsStorage(options)
}

/** Objects in a Google Cloud Storage bucket, asked directly. */
class GcsStorage implements Storage {
  readonly name = 'gcs'
  readonly writer: StorageWriter
  readonly #options: GcsStorageOptions
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly #stopCutting: () => void

  constructor(options: GcsStorageOptions) {
    const [name = '', ...prefix] = options.bucket.replace(/^gs:\/\//, '').split('/')
    const folder = prefix.filter((part) => part !== '').join('/')
    this.#options = options
    this.#prefix = folder === '' ? '' : `${folder}/`
    this.#bucket = openBucket(options, name, false)
    const { host } = new URL(this.#bucket.storage.apiEndpoint)
    this.#stopCutting = cutStalledRequests(host, options.stallTimeout)
    this.writer = writeObjects(
      new GcsService({
        bucket: this.#bucket,
        retried: openBucket(options, name, true),
        prefix: this.#prefix,
        partSize: options.partSize,
      }),
    )
  }

  async stat(key: string, options: OperationOptions = {}): Promise<ObjectStat | undefined> {
    try {
      return await statObject(this.#bucket, this.#prefix, key, options)
    } catch (error) {
      throw unavailable(this.#bucket.name, error)
    }
  }

  async read(key: string, options: OperationOptions & { range?: ByteRange } = {}): Promise<Readable> {
    const { signal } = options
    try {
      const body = await openRead(this.#bucket, this.#prefix + key, options)
      return signal === undefined ? body : addAbortSignal(signal, body)
    } catch (error) {
      if (isMissingObject(error)) throw new ObjectNotFound(this.name, key)
      throw unavailable(this.#bucket.name, error)
    }
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncGenerator<ObjectStat> {
    const folder = prefix.replace(/\/$/, '')
    for await (const { items } of this.#pages(folder, {}, options)) {
      for (const item of items) {
        const stat = toStat(this.#prefix, item)
        if (!stat.key.startsWith(unfinishedPrefix) && !stat.key.endsWith('/')) yield stat
      }
    }
  }

  async children(prefix: string, options: OperationOptions = {}): Promise<string[]> {
    const folder = prefix.replace(/\/$/, '')
    const base = folder === '' ? 0 : folder.length + 1
    const names: string[] = []
    for await (const { items, prefixes } of this.#pages(folder, { delimiter: '/' }, options)) {
      for (const below of prefixes) names.push(below.slice(this.#prefix.length + base).replace(/\/$/, ''))
      for (const item of items) names.push(toStat(this.#prefix, item).key.slice(base))
    }
    return names.filter((name) => name !== '' && `${name}/` !== unfinishedPrefix)
  }

  async ready({ signal }: OperationOptions = {}): Promise<void> {
    const { name, storage } = this.#bucket
    let awaited = 'Google credentials: with no key file or gcloud login, they are the metadata server’s to give'
    const check = async (): Promise<void> => {
      // An endpoint of one's own is asked without any.
      const missing = this.#options.endpoint === undefined ? await failureOf(storage.authClient.getClient()) : undefined
      awaited = `an answer about bucket ${name}${missing === undefined ? '' : `, with ${noCredentials}`}`
      const prefix = `${this.#prefix}mirrorface.json`
      const list = () => this.#bucket.getFiles({ prefix, maxResults: 1, autoPaginate: false })
      const refused = await failureOf(retryTransient(list, signal === undefined ? {} : { signal }))
      // A public bucket is read without credentials; where they are missing, that is why it is not.
      if (refused !== undefined) throw unavailable(name, missing ?? refused, 'listing')
    }
    await unlessAborted(check(), signal, () => new StorageUnavailable(this.name, `it still waits for ${awaited}`))
  }

  async close(): Promise<void> {
    this.#stopCutting()
  }

  readonly locates = 'url'

  async locate(key: string, options: LocateOptions): Promise<Location | undefined> {
    const expires = new Date(Date.now() + this.#options.signedUrlLifetime * 1000)
    try {
      const [url] = await this.#bucket.file(this.#prefix + key).getSignedUrl({
        version: 'v4',
        action: 'read',
        expires,
        ...(options.contentType !== undefined && { responseType: options.contentType }),
        ...(options.contentDisposition !== undefined && { responseDisposition: options.contentDisposition }),
        ...(this.#options.endpoint !== undefined && { host: this.#options.endpoint }),
      })
      return { kind: 'url', url, expires }
    } catch (error) {
      throw unavailable(this.#bucket.name, error)
    }
  }

  async *#pages(
    folder: string,
    query: { delimiter?: string },
    options: OperationOptions,
  ): AsyncGenerator<{ items: FileMetadata[]; prefixes: string[] }> {
    let pageToken: string | undefined
    do {
      const asked = {
        prefix: this.#prefix + (folder === '' ? '' : `${folder}/`),
        maxResults: 1000,
        autoPaginate: false,
        ...query,
        ...(pageToken !== undefined && { pageToken }),
      }
      const list = () => this.#bucket.getFiles(asked)
      const [files, , answer] = await retryTransient(list, options).catch((error: unknown) => {
        throw unavailable(this.#bucket.name, error, 'listing')
      })
      const { nextPageToken, prefixes } = (answer ?? {}) as { nextPageToken?: string; prefixes?: string[] }
      yield { items: files.map((file) => file.metadata), prefixes: prefixes ?? [] }
      pageToken = nextPageToken
    } while (pageToken !== undefined && pageToken !== '')
  }
}

async function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  try {
    await attempt
    return undefined
  } catch (error) {
    return error
  }
}

function openBucket({ endpoint }: GcsStorageOptions, name: string, autoRetry: boolean): Bucket {
  const google = new GoogleStorage({
    ...(endpoint !== undefined && { apiEndpoint: endpoint.replace(/\/+$/, '') }),
    // Asking the metadata server for the project would take long where there is none.
    ...(endpoint !== undefined && { projectId: 'mirrorface' }),
    retryOptions: { autoRetry, maxRetries: 5, totalTimeout: 300 },
  })
  return google.bucket(name)
}
