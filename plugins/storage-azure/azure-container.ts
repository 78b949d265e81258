import { DefaultAzureCredential, type TokenCredential } from '@azure/identity'
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import type { z } from 'zod'
import type { azureStorageOptions } from './index.ts'

export type AzureStorageOptions = z.output<typeof azureStorageOptions>

/** A container, the folder in it that is the storage, and who asks for it. */
export interface AzureContainer {
  readonly service: BlobServiceClient
  readonly client: ContainerClient
  readonly credential: StorageSharedKeyCredential | TokenCredential
  readonly account: string
  /** Of every blob's name: empty, or with a slash at its end. */
  readonly prefix: string
}

/** With the account's key, where `AZURE_STORAGE_KEY` has one; otherwise as Azure's identity library finds credentials. */
export function openContainer({ account, container, endpoint }: AzureStorageOptions): AzureContainer {
  const [name = '', ...segments] = container.split('/')
  const folder = segments.filter((segment) => segment !== '').join('/')
  const { AZURE_STORAGE_KEY: key } = process.env
  const credential =
    key === undefined || key === '' ? new DefaultAzureCredential() : new StorageSharedKeyCredential(account, key)
  const address = endpoint?.replace(/\/+$/, '') ?? `https://${account}.blob.core.windows.net`
  const service = new BlobServiceClient(address, credential, {
    // Requests are repeated where it is known what a lost response means.
    retryOptions: { maxTries: 1 },
  })
  return {
    service,
    client: service.getContainerClient(name),
    credential,
    account,
    prefix: folder === '' ? '' : `${folder}/`,
  }
}
