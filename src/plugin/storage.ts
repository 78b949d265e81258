import type { Readable } from 'node:stream'
import type { ByteRange } from '../hub/byte-range.ts'

/** What a storage knows of an object without reading it. */
export interface ObjectStat {
  readonly key: string
  /** Bytes. */
  readonly size: number
  readonly updatedAt: Date
  /** CRC-32C of the content, base64 of the big-endian 32 bits, where the storage keeps one. */
  readonly crc32c?: string
  /** Changes with every overwrite, where the storage counts them. */
  readonly generation?: string
}

/** A shorter way to an object's bytes than {@link Storage.read}. */
export type Location =
  | { readonly kind: 'file'; readonly path: string }
  /** A URL that anybody may fetch until `expires`. */
  | { readonly kind: 'url'; readonly url: string; readonly expires: Date }

export interface OperationOptions {
  readonly signal?: AbortSignal
}

/**
 * Where mirrored repositories lie. Keys are `/`-separated, relative and already validated: the
 * registry wraps every storage so that no key with `..`, an empty segment or a control character
 * arrives here. Any method may reject with a {@link StorageUnavailable}.
 */
export interface Storage {
  /** For logs and metric labels. */
  readonly name: string
  /** `undefined` where no such object is. */
  stat(key: string, options?: OperationOptions): Promise<ObjectStat | undefined>
  /** The object's bytes, or a range of them. Rejects with an {@link ObjectNotFound} before any byte. */
  read(key: string, options?: OperationOptions & { readonly range?: ByteRange }): Promise<Readable>
  /** Every object whose key begins with `prefix` (a whole number of segments, or empty), in any order. */
  list(prefix: string, options?: OperationOptions): AsyncIterable<ObjectStat>
  /**
   * The next segments below `prefix`, each once: a folder listing, which on a bucket costs no walk
   * through everything below.
   */
  children(prefix: string, options?: OperationOptions): Promise<string[]>
  /**
   * Rejects with a {@link StorageUnavailable} that gives the reason. Where `signal` aborts first, the reason is what was
   * being waited for: whoever asked has only that moment left.
   */
  ready(options?: OperationOptions): Promise<void>
  close(): Promise<void>
  /** What {@link locate} yields, if there is one. */
  readonly locates?: Location['kind']
  /** Absent, or resolving to `undefined`: there is no shorter way. Asked only for objects that exist. */
  locate?(key: string, options: LocateOptions): Promise<Location | undefined>
  /** Absent: the storage is read-only. */
  readonly writer?: StorageWriter
}

export interface LocateOptions extends OperationOptions {
  /** Response headers that a URL's answer should carry, where the storage can arrange it. */
  readonly contentType?: string
  readonly contentDisposition?: string
}

/**
 * The bytes to write, from an offset on: a storage that kept part of an interrupted write asks only
 * for the rest. Called once per attempt. Each piece is good until the next is asked for; who keeps
 * one longer copies it.
 */
export type ContentSource = (start: number) => AsyncIterable<Buffer>

export interface Expectation {
  /** Bytes. */
  readonly size?: number
  /** Lower-case hex. Content that differs rejects with a {@link ContentMismatch}, and nothing is kept. */
  readonly sha256?: string
  /** Leave an object that is already there as it is, and succeed: for content-addressed keys. */
  readonly ifAbsent?: boolean
}

export interface StorageWriter {
  /** Atomic: after it resolves the whole object is there; before, or if it rejects, nothing is. */
  write(key: string, content: ContentSource, expect: Expectation, options?: OperationOptions): Promise<ObjectStat>
  /** Succeeds where no such object is. */
  remove(key: string, options?: OperationOptions): Promise<void>
  /**
   * Makes an object's `updatedAt` now, so that a sweep spares what is about to be used again. Resolves
   * to whether the object is there.
   */
  touch(key: string, options?: OperationOptions): Promise<boolean>
  /**
   * Forgets what interrupted writes left behind before `before`; resolves to the bytes freed. What
   * a write under way is using stays.
   */
  discardUnfinished(before: Date, options?: OperationOptions & { readonly dryRun?: boolean }): Promise<number>
}
