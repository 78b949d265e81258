import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { ByteRange } from '../hub/index.ts'
import type { HeaderList } from '../plugin/index.ts'
import type { GzipForm } from './delivery/gzip-form.ts'

/** What is answered: made by whoever answers, written by one writer. Immutable; a reply of bytes may be written often. */
export interface Reply {
  readonly status: number
  /**
   * Of this reply, without what the writer adds: request id, CORS, `Date`, framing, and for a representation of our
   * own its entity tag and range. A URL in `location`, `content-location` or `link` that begins with one `/` is relative
   * to the mirror's root: the writer puts the prefix or the public URL in front.
   */
  readonly headers: HeaderList
  readonly body: ReplyBody
  /** For metrics and logs: the storage or upstream that the body comes from, or `mirrorface`. */
  readonly source: string
  readonly outcome: 'hit' | 'fallback' | 'own'
  /** Why this is no success, for the log: an error's reply has the error. */
  readonly failure?: unknown
}

export type ReplyBody =
  | { readonly kind: 'none' }
  /** A representation of our own: the writer applies the request's conditions and range. */
  | { readonly kind: 'content'; readonly content: Content }
  /**
   * Bytes of our own with `etag`, the opaque part of a strong entity tag: conditions are applied. Without: sent as they
   * are. `gzip`, where there is one: for clients that take it.
   */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly etag?: string; readonly gzip?: GzipForm }
  /** The head alone of a representation of our own, kept for HEAD. */
  | { readonly kind: 'head'; readonly etag: string; readonly size: number }
  /** An upstream's body: it has passed conditions and ranges there. The writer destroys it if it is not read to its end. */
  | { readonly kind: 'stream'; readonly stream: Readable }

/** Something with an entity tag that can be sent whole or in part. */
export interface Content {
  /** The opaque part of its strong entity tag. */
  readonly etag: string
  /** Bytes. */
  readonly size: number
  /**
   * Opens a range of it, before the head is written; `end` is `start - 1` where it is empty. Rejects with a
   * {@link ContentUnavailable} where the content can't be given, so that another may answer, and with the signal's
   * reason where the client has gone. The caller closes what it opened.
   */
  open(range: ByteRange, signal: AbortSignal): Promise<OpenContent>
  /** A way past this server for `length` bytes, if the configuration wants one. Rejects as {@link open} does. */
  shortcut?(length: number, signal: AbortSignal): Promise<Shortcut | undefined>
  /** All of it in memory, for small content that is asked for often. Rejects as {@link open} does. */
  read?(signal: AbortSignal): Promise<Uint8Array>
}

export interface OpenContent {
  /**
   * Sends the range; resolves when the last byte is with the kernel, or the client has gone. Rejects if it breaks off;
   * the caller then cuts the connection.
   */
  send(response: ServerResponse, onBytes: (bytes: number) => void): Promise<void>
  close(): Promise<void>
}

/** A way to a file's bytes past this server. */
export type Shortcut =
  | { readonly kind: 'redirect'; readonly url: string; readonly status?: 302 | 307 }
  /** The path of the internal location by which nginx serves the file. */
  | { readonly kind: 'accel'; readonly path: string }
