import { addAbortSignal, type Readable } from 'node:stream'
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
import { readBlob, signalOf, statBlob, toStat } from './azure-blob.ts'
import { type AzureContainer, type AzureStorageOptions, openContainer } from './azure-container.ts'
import { isMissingBlob, isTransient, unavailable } from './azure-errors.ts'
import { AzureService } from './azure-service.ts'
import { SignedUrls } from './signed-urls.ts'

export async function openAzureStorage(options: AzureStorageOptions): Promise<Storage> {
  return new AzureStorage(options)
}

async function nextOf<Page>(pages: AsyncIterator<Page, unknown>): Promise<Page | undefined> {
  const next = await pages.next()
  return next.done === true ? undefined : next.value
}

/** Block blobs in a container of an Azure storage account. */
class AzureStorage implements Storage {
  readonly name = 'azure'
  readonly locates = 'url'
  readonly writer: StorageWriter
  readonly #container: AzureContainer
  readonly #signedUrls: SignedUrls

  constructor(options: AzureStorageOptions) {
    this.#container = openContainer(options)
    this.#signedUrls = new SignedUrls(this.#container, options.signedUrlLifetime * 1000)
    this.writer = writeObjects(new AzureService(this.#container, options.partSize))
  }

  async stat(key: string, options: OperationOptions = {}): Promise<ObjectStat | undefined> {
    const found = await this.#asked(() => statBlob(this.#container, key, options), options)
    if (found === undefined) return undefined
    const { writer: _, ...stat } = found
    return stat
  }

  async read(key: string, options: OperationOptions & { range?: ByteRange } = {}): Promise<Readable> {
    const { range, signal } = options
    const wanted = range === undefined ? undefined : { offset: range.start, count: range.end - range.start + 1 }
    const { body } = await this.#asked(async () => {
      try {
        return await readBlob(this.#container, key, wanted, options)
      } catch (error) {
        if (isMissingBlob(error)) throw new ObjectNotFound(this.name, key)
        throw error
      }
    }, options)
    return signal === undefined ? body : addAbortSignal(signal, body)
  }

  async *list(prefix: string, options: OperationOptions = {}): AsyncGenerator<ObjectStat> {
    const { client } = this.#container
    let continuationToken: string | undefined
    do {
      const pages = client
        .listBlobsFlat({ prefix: this.#folderOf(prefix), ...signalOf(options) })
        .byPage({ maxPageSize: 1000, ...(continuationToken !== undefined && { continuationToken }) })
      const page = await this.#asked(async () => await nextOf(pages), options)
      for (const { name, properties } of page?.segment.blobItems ?? [])
        yield toStat(name.slice(this.#container.prefix.length), properties)
      continuationToken = page?.continuationToken
    } while (continuationToken !== undefined && continuationToken !== '')
  }

  async children(prefix: string, options: OperationOptions = {}): Promise<string[]> {
    const folder = this.#folderOf(prefix)
    const { client } = this.#container
    return await this.#asked(async () => {
      const names: string[] = []
      for await (const { name } of client.listBlobsByHierarchy('/', { prefix: folder, ...signalOf(options) }))
        names.push(name.slice(folder.length).replace(/\/$/, ''))
      return names.filter((name) => name !== '')
    }, options)
  }

  async ready({ signal }: OperationOptions = {}): Promise<void> {
    const { client, prefix } = this.#container
    const check = async (): Promise<void> => {
      try {
        await client
          .listBlobsFlat({ prefix: `${prefix}mirrorface.json` })
          .byPage({ maxPageSize: 1 })
          .next()
      } catch (error) {
        throw unavailable(client.containerName, error)
      }
    }
    const awaited = `it still waits for an answer about container ${client.containerName}, or for Azure credentials`
    await unlessAborted(check(), signal, () => new StorageUnavailable(this.name, awaited))
  }

  async close(): Promise<void> {}

  async locate(key: string, options: LocateOptions): Promise<Location | undefined> {
    return await this.#asked(() => this.#signedUrls.sign(key, options), options)
  }

  #folderOf(prefix: string): string {
    const folder = prefix.replace(/\/$/, '')
    return this.#container.prefix + (folder === '' ? '' : `${folder}/`)
  }

  async #asked<T>(act: () => Promise<T>, options: OperationOptions): Promise<T> {
    try {
      return await retryTransient(act, isTransient, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw error instanceof ObjectNotFound ? error : unavailable(this.#container.client.containerName, error)
    }
  }
}
