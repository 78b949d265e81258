import { createHash } from 'node:crypto'
import type { HubOperation, HubRequestOf } from '../../hub/index.ts'
import type { Library, Snapshot, SnapshotFile } from '../../mirror/index.ts'

/** An answer made from what is mirrored. */
export type Answer = JsonAnswer | FileAnswer | TextAnswer

export interface JsonAnswer {
  readonly kind: 'json'
  readonly storage: string
  readonly body: Buffer
  /** The commit it speaks of, for `X-Repo-Commit`. */
  readonly commit?: string
  /** The next page, relative to the request's own path: a query. */
  readonly nextQuery?: string
}

export interface FileAnswer {
  readonly kind: 'file'
  readonly snapshot: Snapshot
  readonly file: SnapshotFile & { readonly key: string }
}

export interface TextAnswer {
  readonly kind: 'text'
  readonly snapshot: Snapshot
  readonly file: SnapshotFile
  readonly text: string
}

/** What is mirrored, as answers look it up: what the client may not read rejects there. */
export type LibraryView = Pick<Library, 'find' | 'refs'>

/** What an answer may depend on. */
export interface Question<Operation extends HubOperation> {
  readonly hub: HubRequestOf<Operation>
  readonly query: URLSearchParams
  readonly library: LibraryView
  /** Reads the request's body; called only once it is sure that the answer is ours to give. */
  readBody(): Promise<{ contentType: string; text: string }>
}

/** The Hub's clients write true as `true`, `True` or `1`. */
export function isTrue(value: string | null): boolean {
  return value !== null && ['true', '1'].includes(value.toLowerCase())
}

/** Renders JSON once for a commit: what is asked again is answered from memory. */
export function renderedOnce(snapshot: Snapshot, name: string, render: () => unknown): Buffer {
  const kept = snapshot.rendered.get(name)
  if (kept !== undefined) return kept
  const body = Buffer.from(JSON.stringify(render()))
  // Queries come from clients, so only so many forms of an answer are kept.
  if (snapshot.rendered.size < 32) snapshot.rendered.set(name, body)
  return body
}

const etags = new WeakMap<Buffer, string>()

/** A strong validator for a rendered answer. */
export function etagOf(body: Buffer): string {
  let etag = etags.get(body)
  if (etag === undefined) {
    etag = createHash('sha1').update(body).digest('base64url')
    etags.set(body, etag)
  }
  return etag
}
