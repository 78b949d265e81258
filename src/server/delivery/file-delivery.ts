import { open, stat } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { type ByteRange, Failure } from '../../hub/index.ts'
import type { SnapshotFile } from '../../mirror/index.ts'
import type { Storage } from '../../plugin/index.ts'
import type { Content, OpenContent, Shortcut } from '../reply.ts'
import type { BufferPool } from './buffer-pool.ts'
import { fromStorage } from './content-unavailable.ts'
import { contentDispositionOf, contentTypeOf } from './file-headers.ts'
import type { KernelCopy } from './kernel-copy.ts'
import { copyFile, type ReadableAt, sendFile } from './send-file.ts'
import { sendStream } from './send-stream.ts'

/** The stored blob is not what the manifest says, so that it must not be sent under its ETag. */
export class StoredSizeDiffers extends Failure {
  constructor(storage: string, file: SnapshotFile, found: number | undefined) {
    super(
      'StoredSizeDiffers',
      502,
      `storage ${storage}: ${file.path} should have ${file.size} bytes, and ${found === undefined ? 'is missing' : `has ${found}`}; run mirrorface verify --repair`,
    )
  }
}

export type StoredFile = SnapshotFile & { readonly key: string }

/** How file bytes reach clients, where the storage allows a shorter way than through this server. */
export interface DeliveryOptions {
  readonly mode: 'stream' | 'redirect' | 'accel'
  /** Path of nginx's internal location, for `accel`. */
  readonly accelPrefix: string
  /** Absent: bytes pass through our memory. */
  readonly kernel?: KernelCopy | undefined
}

/** Bytes below which a redirect costs the client more than the bytes themselves. */
const leastRedirected = 1024 * 1024

/** Bytes below which the kernel's copy costs more calls than it saves. */
const leastCopied = 256 * 1024

/** Brings stored bytes to clients, by the shortest way that the storage has. */
export class FileDelivery {
  readonly #pool: BufferPool
  readonly #options: DeliveryOptions

  constructor(pool: BufferPool, options: DeliveryOptions) {
    this.#pool = pool
    this.#options = options
  }

  /** A stored file as something that the writer can send. `download`: browsers are to save it rather than show it. */
  contentOf(storage: Storage, file: StoredFile, download: boolean): Content {
    const { name } = storage
    return {
      etag: file.etag,
      size: file.size,
      shortcut: async (length, signal) =>
        this.#options.mode === 'stream'
          ? undefined
          : await fromStorage(name, signal, () => this.#shortcut(storage, file, length, download)),
      open: async (range, signal) =>
        file.size === 0 ? nothing : await fromStorage(name, signal, () => this.#open(storage, file, range, signal)),
      read: async (signal) => await fromStorage(name, signal, () => read(storage, file, signal)),
    }
  }

  /** Sends a range of anything that can be read at an offset. */
  async send(
    source: ReadableAt,
    range: ByteRange,
    response: Parameters<OpenContent['send']>[0],
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    await sendFile(source, range, response, this.#pool, onBytes)
  }

  async #shortcut(
    storage: Storage,
    file: StoredFile,
    length: number,
    download: boolean,
  ): Promise<Shortcut | undefined> {
    const { mode, accelPrefix } = this.#options
    if (mode === 'redirect' && length < leastRedirected) return undefined
    const location = await storage.locate?.(file.key, {
      contentType: contentTypeOf(file.path),
      contentDisposition: contentDispositionOf(file.path, download),
    })
    if (mode === 'redirect') return location?.kind === 'url' ? { kind: 'redirect', url: location.url } : undefined
    if (location?.kind !== 'file') return undefined
    const { size } = await stat(location.path)
    if (size !== file.size) throw new StoredSizeDiffers(storage.name, file, size)
    return { kind: 'accel', path: `${accelPrefix}/${file.key}` }
  }

  /** Opens a file and checks its size before the head is written: afterwards there is no way back. */
  async #open(storage: Storage, file: StoredFile, range: ByteRange, signal: AbortSignal): Promise<OpenContent> {
    // A signed URL costs a signature, and is of no use here.
    const location = storage.locates === 'file' ? await storage.locate?.(file.key, { signal }) : undefined
    if (location?.kind === 'file') return await this.#openLocalFile(storage, file, location.path, range)
    const found = await storage.stat(file.key, { signal })
    if (found?.size !== file.size) throw new StoredSizeDiffers(storage.name, file, found?.size)
    const body = await storage.read(file.key, { range, signal })
    const length = range.end - range.start + 1
    return {
      send: (response, onBytes) => sendStream(body, response, { length, onBytes }),
      close: async () => {
        body.destroy()
      },
    }
  }

  async #openLocalFile(storage: Storage, file: SnapshotFile, path: string, range: ByteRange): Promise<OpenContent> {
    const handle = await open(path, 'r')
    try {
      const { size } = await handle.stat()
      if (size !== file.size) throw new StoredSizeDiffers(storage.name, file, size)
    } catch (error) {
      await handle.close()
      throw error
    }
    const { kernel } = this.#options
    return {
      send: (response, onBytes) =>
        kernel === undefined || range.end - range.start < leastCopied
          ? sendFile(handle, range, response, this.#pool, onBytes)
          : copyFile(handle, range, response, this.#pool, kernel, onBytes),
      close: () => handle.close(),
    }
  }
}

const nothing: OpenContent = { send: async () => undefined, close: async () => undefined }

/** A whole file's bytes; their number is the manifest's. */
async function read(storage: Storage, file: StoredFile, signal: AbortSignal): Promise<Buffer> {
  const bytes = await buffer(await storage.read(file.key, { signal }))
  if (bytes.length !== file.size) throw new StoredSizeDiffers(storage.name, file, bytes.length)
  return bytes
}
