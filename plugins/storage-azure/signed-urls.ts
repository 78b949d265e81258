import {
  BlobSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
  type UserDelegationKey,
} from '@azure/storage-blob'
import type { LocateOptions, Location } from 'mirrorface/plugin'
import type { AzureContainer } from './azure-container.ts'

/** Signs reads of blobs: with the account's key, or with one that the service lends to whoever has a token. */
export class SignedUrls {
  readonly #container: AzureContainer
  readonly #lifetime: number
  #lent: { readonly key: Promise<UserDelegationKey>; readonly until: number } | undefined

  /** @param lifetime milliseconds for which a URL holds */
  constructor(container: AzureContainer, lifetime: number) {
    this.#container = container
    this.#lifetime = lifetime
  }

  /** Rejects with the SDK's errors. */
  async sign(key: string, { contentType, contentDisposition }: LocateOptions): Promise<Location> {
    const { client, credential, account, prefix } = this.#container
    const expires = new Date(Date.now() + this.#lifetime)
    const values = {
      containerName: client.containerName,
      blobName: prefix + key,
      permissions: BlobSASPermissions.parse('r'),
      expiresOn: expires,
      ...(contentType !== undefined && { contentType }),
      ...(contentDisposition !== undefined && { contentDisposition }),
    }
    const query =
      credential instanceof StorageSharedKeyCredential
        ? generateBlobSASQueryParameters(values, credential)
        : generateBlobSASQueryParameters(values, await this.#delegationKey(expires.getTime()), account)
    return { kind: 'url', url: `${client.getBlobClient(prefix + key).url}?${query}`, expires }
  }

  /** One for many URLs: it holds for twice as long as they do, a week at most. */
  async #delegationKey(until: number): Promise<UserDelegationKey> {
    if (this.#lent === undefined || this.#lent.until < until) {
      const now = Date.now()
      const end = Math.min(now + 2 * this.#lifetime, now + 7 * 24 * 3600 * 1000)
      const key = this.#container.service.getUserDelegationKey(new Date(now), new Date(end))
      const lent = { key, until: end }
      this.#lent = lent
      key.catch(() => {
        if (this.#lent === lent) this.#lent = undefined
      })
    }
    return await this.#lent.key
  }
}
