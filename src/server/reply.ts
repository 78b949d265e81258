import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../hub/index.ts'
import type { HeaderList } from '../plugin/index.ts'

/** What is answered: made by whoever answers, written by one writer. Immutable; a reply of bytes may be written often. */
export interface Reply {
  readonly status: number
  /**
   * Of this reply, without what the writer adds: request id, CORS, `Via`, `Date`, framing. A URL in `location`,
   * `content-location` or `link` that begins with `/` is relative to the mirror's root: the writer puts prefix or public
   * URL in front.
   */
  readonly headers: HeaderList
  readonly body: ReplyBody
  /** For metrics and logs. */
  readonly source: string
  readonly outcome: 'hit' | 'fallback' | 'own'
}

export type ReplyBody =
  | { readonly kind: 'none' }
  /** A representation of our own: conditions and ranges of the request are applied by the writer. */
  | { readonly kind: 'content'; readonly content: Content }
  /** An upstream's body: it passed conditions and ranges already, and is sent as it is. */
  | { readonly kind: 'stream'; readonly stream: Readable }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }

/** Something with an entity tag that can be sent whole or in part. */
export interface Content {
  /** The opaque part of its strong entity tag. */
  readonly etag: string
  /** Bytes. */
  readonly size: number
  /**
   * Opens a range. Rejects before the head is written where the content can't be given, so that another may answer.
   * The writer closes what it opened.
   */
  open(range: ByteRange, signal: AbortSignal): Promise<OpenContent>
}

export interface OpenContent {
  /** Sends the range; resolves when the last byte is with the kernel, or the client has gone. */
  send(response: ServerResponse, onBytes: (bytes: number) => void): Promise<void>
  close(): Promise<void>
}
