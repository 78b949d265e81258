import { Readable } from 'node:stream'
import { definePlugin, ObjectNotFound, StorageUnavailable } from 'mirrorface/plugin'
import { z } from 'zod'

/** A mirrored storage that any web server publishes: a read-only copy in another data centre, say. */
class HttpStorage {
  name = 'http'
  #base

  constructor(url) {
    this.#base = url.endsWith('/') ? url : `${url}/`
  }

  async stat(key, options) {
    const response = await this.#ask(key, { method: 'HEAD', ...options })
    if (response === undefined) return undefined
    return {
      key,
      size: Number(response.headers.get('content-length')),
      updatedAt: new Date(response.headers.get('last-modified') ?? 0),
    }
  }

  async read(key, { range, signal } = {}) {
    const headers = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` }
    const response = await this.#ask(key, { headers, signal })
    if (response === undefined) throw new ObjectNotFound(this.name, key)
    // A server that ignores ranges would send the wrong bytes.
    if (range !== undefined && response.status !== 206) throw new StorageUnavailable(this.name, 'it serves no ranges')
    return Readable.fromWeb(response.body)
  }

  /** Listings as nginx writes them with `autoindex_format json`. */
  async *list(prefix, options) {
    for (const entry of await this.#entries(prefix, options)) {
      const key = prefix === '' ? entry.name : `${prefix.replace(/\/$/, '')}/${entry.name}`
      if (entry.type === 'directory') yield* this.list(key, options)
      else yield { key, size: entry.size, updatedAt: new Date(entry.mtime) }
    }
  }

  async children(prefix, options) {
    return (await this.#entries(prefix, options)).map(({ name }) => name)
  }

  async ready(options) {
    await this.#entries('', options)
  }

  async close() {}

  async #entries(prefix, options) {
    const folder = prefix.replace(/\/$/, '')
    const response = await this.#ask(folder === '' ? '' : `${folder}/`, options)
    return response === undefined ? [] : await response.json()
  }

  async #ask(key, options) {
    const path = key.split('/').map(encodeURIComponent).join('/')
    let response
    try {
      // A redirect leads from a folder's name to the folder, which is no object.
      response = await fetch(this.#base + path, { redirect: 'manual', ...options })
    } catch (error) {
      throw new StorageUnavailable(this.name, `${this.#base} does not answer`, { cause: error, transient: true })
    }
    if (response.status === 404 || response.status === 301) return undefined
    if (response.ok) return response
    throw new StorageUnavailable(this.name, `${this.#base} answered ${response.status}`, {
      transient: response.status >= 500,
    })
  }
}

export default definePlugin({
  kind: 'storage',
  name: 'http',
  options: z.strictObject({
    /** Where the storage's root is published. */
    url: z.url({ protocol: /^https?$/ }),
  }),
  // `--storage http://…`: the scheme by which this package is named.
  urls: { http: ({ origin, pathname }) => ({ url: origin + pathname }) },
  create: async ({ url }) => new HttpStorage(url),
})
