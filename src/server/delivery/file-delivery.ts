import { open, stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { type ByteRange, Failure } from '../../hub/index.ts'
import type { SnapshotFile } from '../../mirror/index.ts'
import type { Storage } from '../../plugin/index.ts'
import type { BufferPool } from './buffer-pool.ts'
import { contentDispositionOf, contentTypeOf } from './file-headers.ts'
import type { KernelCopy } from './kernel-copy.ts'
import { copyFile, type ReadableAt, sendFile } from './send-file.ts'

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

/** A storage ended a body before its announced length. */
export class BodyBrokeOff extends Failure {
  constructor(sent: number, length: number) {
    super('BodyBrokeOff', 502, `the storage ended the body after ${sent} of ${length} bytes`)
  }
}

/** A file that is open and of the right size: from here on only the transport can fail. */
export interface OpenedFile {
  /** Sends the bytes; resolves when they are sent or the client has gone; rejects if they break off. */
  send(response: ServerResponse, onBytes: (bytes: number) => void): Promise<void>
  close(): Promise<void>
}

/** How file bytes reach clients, where the storage allows a shorter way than through this server. */
export interface DeliveryOptions {
  readonly mode: 'stream' | 'redirect' | 'accel'
  /** Path of nginx's internal location, for `accel`. */
  readonly accelPrefix: string
  /** Absent: bytes pass through our memory. */
  readonly kernel?: KernelCopy | undefined
}

/** A way past this server. */
export type Shortcut =
  | { readonly kind: 'redirect'; readonly url: string }
  /** The path that nginx serves the file by. */
  | { readonly kind: 'accel'; readonly path: string }

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

  /** A shorter way to a file than {@link open}, if the configuration wants one and the storage has it. */
  async shortcut(
    storage: Storage,
    file: SnapshotFile & { readonly key: string },
    length: number,
    download: boolean,
  ): Promise<Shortcut | undefined> {
    const { mode, accelPrefix } = this.#options
    if (mode === 'stream' || (mode === 'redirect' && length < leastRedirected)) return undefined
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

  /** Opens a file and checks its size, before the answer's head is written: after that there is no way back. */
  async open(
    storage: Storage,
    file: SnapshotFile & { readonly key: string },
    range: ByteRange,
    signal: AbortSignal,
  ): Promise<OpenedFile> {
    // A signed URL costs a signature, and is of no use here.
    const location = storage.locates === 'file' ? await storage.locate?.(file.key, { signal }) : undefined
    if (location?.kind === 'file') return await this.#openLocalFile(storage, file, location.path, range)
    const found = await storage.stat(file.key, { signal })
    if (found?.size !== file.size) throw new StoredSizeDiffers(storage.name, file, found?.size)
    return streamOf(await storage.read(file.key, { range, signal }), range.end - range.start + 1)
  }

  /** A whole file's bytes; their number is the manifest's. */
  async read(storage: Storage, file: SnapshotFile & { readonly key: string }, signal: AbortSignal): Promise<Buffer> {
    const bytes = await buffer(await storage.read(file.key, { signal }))
    if (bytes.length !== file.size) throw new StoredSizeDiffers(storage.name, file, bytes.length)
    return bytes
  }

  /** Sends a range of anything that can be read at an offset. */
  async send(
    source: ReadableAt,
    range: ByteRange,
    response: ServerResponse,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    await sendFile(source, range, response, this.#pool, onBytes)
  }

  async #openLocalFile(storage: Storage, file: SnapshotFile, path: string, range: ByteRange): Promise<OpenedFile> {
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

function streamOf(body: Readable, length: number): OpenedFile {
  return {
    send: async (response, onBytes) => {
      let sent = 0
      body.on('data', (chunk: Buffer) => {
        sent += chunk.length
        onBytes(chunk.length)
      })
      response.once('close', () => body.destroy())
      body.pipe(response, { end: false })
      await finished(body).catch((error: unknown) => {
        if (!response.destroyed) throw error // the client has not gone: the storage broke off
      })
      // Not every storage tells a body that broke off from one that ended.
      if (sent !== length && !response.destroyed) throw new BodyBrokeOff(sent, length)
    },
    close: async () => {
      body.destroy()
    },
  }
}
