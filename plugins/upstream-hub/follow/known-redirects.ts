import { LRUCache } from 'lru-cache'
import { expiryOfUrl } from '../cache/signed-url.ts'
import type { Redirect } from './redirect-follower.ts'

/**
 * Where content of a commit was found, for this server's own downloads: a large file is hundreds of parts, and the Hub
 * counts requests against a limit. Only for URLs that say how long they are good.
 */
export class KnownRedirects {
  readonly #known = new LRUCache<string, Redirect>({ max: 500 })

  get(key: string): Redirect | undefined {
    return this.#known.get(key)
  }

  note(key: string, redirect: Redirect, location: string): void {
    const left = (expiryOfUrl(location) ?? 0) - Date.now()
    if (left > 0) this.#known.set(key, redirect, { ttl: left })
  }

  forget(key: string): void {
    this.#known.delete(key)
  }
}
