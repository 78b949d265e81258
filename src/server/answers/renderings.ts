import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Snapshot } from '../../mirror/index.ts'
import type { HeaderList } from '../../plugin/index.ts'
import { GzipForm } from '../delivery/gzip-form.ts'
import type { Reply } from '../reply.ts'

/** A rendered body with a strong validator. */
export interface Rendered {
  readonly bytes: Uint8Array
  readonly etag: string
  readonly gzip: GzipForm
}

/** JSON of this kind is compressed to less than a third of its size. */
const compressedShare = 1 / 3

/** What an entry takes besides its key and bytes, about, in bytes. */
const entrySize = 512

/** JSON made from snapshots, kept within a budget of memory: what is asked again is not rendered again. */
export class Renderings {
  readonly #kept: LRUCache<string, Rendered>
  /** Snapshots are told apart by identity: one commit that was completed is another snapshot. */
  readonly #numbers = new WeakMap<Snapshot, number>()
  #next = 0

  /** `memory` in bytes, for keys and bodies. */
  constructor(memory: number) {
    this.#kept = new LRUCache({
      maxSize: memory,
      sizeCalculation: ({ bytes }, key) => entrySize + 2 * key.length + Math.ceil(bytes.length * (1 + compressedShare)),
    })
  }

  /** `name` must say everything that the rendering depends on besides the snapshot. */
  once(snapshot: Snapshot, name: string, render: () => unknown): Rendered {
    let number = this.#numbers.get(snapshot)
    if (number === undefined) {
      number = this.#next++
      this.#numbers.set(snapshot, number)
    }
    const key = `${number} ${name}`
    let rendered = this.#kept.get(key)
    if (rendered === undefined) {
      rendered = renderedJson(JSON.stringify(render()))
      this.#kept.set(key, rendered)
    }
    return rendered
  }
}

export function renderedJson(json: string): Rendered {
  const bytes = Buffer.from(json)
  return { bytes, etag: createHash('sha1').update(bytes).digest('base64url'), gzip: new GzipForm() }
}

/** A reply of rendered JSON. `commit`: the one that it speaks of. */
export function jsonReply(
  source: string,
  { bytes, etag, gzip }: Rendered,
  options: { readonly commit?: string; readonly headers?: HeaderList } = {},
): Reply {
  const headers: [string, string][] = [['content-type', 'application/json; charset=utf-8']]
  if (options.commit !== undefined) headers.push(['x-repo-commit', options.commit])
  return {
    status: 200,
    headers: options.headers === undefined ? headers : [...headers, ...options.headers],
    body: { kind: 'bytes', bytes, etag, gzip },
    source,
    outcome: 'hit',
  }
}
