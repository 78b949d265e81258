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
  /**
   * Opaque name of this version of the object: no version with other bytes, past or future, has the
   * same. Absent where the storage would have to read the object to know it.
   */
  readonly generation?: string
}

/** A small object read whole, with the generation that exactly these bytes have. */
export interface LoadedObject extends ObjectStat {
  readonly bytes: Buffer
  readonly generation: string
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
  /**
   * Every object whose key begins with `prefix` (a whole number of segments, or empty), in any order.
   * Not a snapshot: an object that exists for as long as the listing takes is yielded, one that
   * appears or disappears meanwhile may or may not be.
   */
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
 * for the rest. Called once per attempt. A chunk is valid only until the next one is requested; copy
 * it to keep it.
 */
export type ContentSource = (start: number) => AsyncIterable<Buffer>

export interface Expectation {
  /** Bytes. */
  readonly size?: number
  /** Lower-case hex. Content that differs rejects with a {@link ContentMismatch}, and nothing is kept. */
  readonly sha256?: string
  /**
   * For content-addressed keys: an object of the expected size that is already there is left as it
   * is, and the call succeeds without reading the content. One of another size is replaced.
   */
  readonly keepExisting?: boolean
}

/**
 * What must hold at the moment the object changes. If it does not, the call rejects with a
 * {@link Conflict} and changes nothing; of several writers with the same condition one succeeds.
 */
export type WriteCondition =
  | { readonly ifAbsent: true; readonly ifGeneration?: never }
  | { readonly ifGeneration: string; readonly ifAbsent?: never }
  | { readonly ifAbsent?: never; readonly ifGeneration?: never }

export type WriteOptions = OperationOptions & WriteCondition

export interface RemoveOptions extends OperationOptions {
  /** Remove this version only; otherwise, absence included, reject with a {@link Conflict}. */
  readonly ifGeneration?: string
}

export interface StorageWriter {
  /** The object that a conditional write is decided on; `undefined` where none is. */
  load(key: string, options?: OperationOptions): Promise<LoadedObject | undefined>
  /**
   * Atomic and durable: after it resolves the whole object is there; before, or if it rejects,
   * nothing is. The result has the new object's generation, unless an existing one was kept.
   */
  write(key: string, content: ContentSource, expect: Expectation, options?: WriteOptions): Promise<ObjectStat>
  /** Without a condition it succeeds where no such object is. */
  remove(key: string, options?: RemoveOptions): Promise<void>
  /**
   * Deletes what interrupted writes left behind before `before`; resolves to the bytes freed. What
   * a write under way is using stays.
   */
  discardUnfinished(before: Date, options?: OperationOptions & { readonly dryRun?: boolean }): Promise<number>
}
