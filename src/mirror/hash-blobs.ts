import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ContentHasher, type ObjectStat, type OperationOptions, type Storage } from '../plugin/index.ts'

/** What a hashing thread is asked, and what it says. */
export interface HashJob {
  readonly path: string
}
export type HashResult = { readonly sha256: string } | { readonly error: string }
/** Bytes hashed since the last message. */
export interface HashProgress {
  readonly hashed: number
}

export interface HashOptions extends OperationOptions {
  /** Called as bytes are hashed, with their number. */
  readonly onHashed?: (bytes: number) => void
}

/**
 * SHA-256 of stored blobs with all cores, a thread a core: files are read by the threads themselves,
 * so that nothing but reading and hashing is in the loop; what can only be streamed is handed to them.
 */
export class BlobHasher implements AsyncDisposable {
  readonly concurrency: number
  readonly #idle: Worker[]
  readonly #workers: Worker[]
  readonly #streamed: ContentHasher

  constructor(threads: number) {
    const extension = import.meta.filename.slice(import.meta.filename.lastIndexOf('.'))
    this.#workers = Array.from(
      { length: threads },
      () => new Worker(new URL(`./hash-worker${extension}`, import.meta.url)),
    )
    this.#idle = [...this.#workers]
    this.#streamed = new ContentHasher(threads)
    this.concurrency = threads
  }

  async sha256(storage: Storage, { key, size }: ObjectStat, options: HashOptions = {}): Promise<string> {
    const location = storage.locates === 'file' ? await storage.locate?.(key, options) : undefined
    if (location?.kind === 'file') return await this.#hashFile(location.path, options)
    using hash = this.#streamed.start(size)
    for await (const chunk of await storage.read(key, options)) {
      await hash.update(chunk)
      options.onHashed?.(chunk.length)
    }
    return await hash.digest()
  }

  /** At most `concurrency` calls at a time. */
  async #hashFile(path: string, { signal, onHashed }: HashOptions): Promise<string> {
    const worker = this.#idle.pop()
    if (worker === undefined) throw new Error('more hashing jobs than threads')
    try {
      worker.postMessage({ path } satisfies HashJob)
      // An abandoned thread goes on with its file until this hasher is disposed of.
      for await (const [message] of on(worker, 'message', signal === undefined ? {} : { signal })) {
        const result: HashResult | HashProgress = message
        if ('hashed' in result) onHashed?.(result.hashed)
        else if ('error' in result) throw new Error(result.error)
        else return result.sha256
      }
      throw new Error(`the thread that hashes ${path} has ended`)
    } finally {
      this.#idle.push(worker)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}
