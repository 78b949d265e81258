import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gitBlobHash, gitBlobOid, type TreeEntry } from '../hub/index.ts'
import { ContentMismatch, type ContentSource, type OperationOptions, type Storage } from '../plugin/index.ts'
import { blobKey } from './layout.ts'
import { contentOf, writerOf } from './objects.ts'

/** A regular file up to this size, in bytes, is hashed in memory before it is stored. */
const largestInMemory = 16 * 1024 * 1024

/** Content that is in the storage, or is to be. */
export interface StoredBlob {
  readonly sha256: string
  /** Of a copy's name. */
  readonly copy?: number
  readonly crc32c?: string
}

export interface StoreOptions extends OperationOptions {
  /** The blob's name for a content's SHA-256; absent: the plain one. */
  nameFor?(sha256: string): string
  /** Replace an object that is already there: it is broken. */
  readonly overwrite?: boolean
}

export function storedBlob(name: string, { crc32c }: { readonly crc32c?: string | undefined } = {}): StoredBlob {
  const [sha256 = '', copy] = name.split('.')
  return { sha256, ...(copy !== undefined && { copy: Number(copy) }), ...(crc32c !== undefined && { crc32c }) }
}

/**
 * Stores one file's content under its SHA-256, compared with the Hub's word: the SHA-256 of a large
 * file, the git blob id of a regular one.
 */
export async function storeFile(
  storage: Storage,
  file: TreeEntry,
  content: ContentSource,
  options: StoreOptions = {},
): Promise<StoredBlob> {
  if (file.lfs !== undefined) {
    return await writeBlob(storage, file.lfs.oid, file.size, content, options)
  }
  if (file.size <= largestInMemory) return await storeSmallFile(storage, file, await gathered(content), options)
  return await storeThroughDisk(storage, file, content, options)
}

async function gathered(content: ContentSource): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of content(0)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

async function storeSmallFile(
  storage: Storage,
  file: TreeEntry,
  bytes: Buffer,
  options: StoreOptions,
): Promise<StoredBlob> {
  assertGitOid(file, gitBlobOid(bytes))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return await writeBlob(storage, sha256, bytes.length, contentOf(bytes), options)
}

async function writeBlob(
  storage: Storage,
  sha256: string,
  size: number,
  content: ContentSource,
  options: StoreOptions,
): Promise<StoredBlob> {
  const name = options.nameFor?.(sha256) ?? sha256
  const expect = { size, sha256, keepExisting: options.overwrite !== true }
  const signal = options.signal === undefined ? {} : { signal: options.signal }
  const found = await writerOf(storage).write(blobKey(name), content, expect, signal)
  return storedBlob(name, found)
}

/** The key of a regular file is known only when its bytes have been seen; a large one waits on disk. */
async function storeThroughDisk(
  storage: Storage,
  file: TreeEntry,
  content: ContentSource,
  options: StoreOptions,
): Promise<StoredBlob> {
  const folder = await mkdtemp(join(tmpdir(), 'mirrorface-'))
  try {
    const path = join(folder, 'content')
    const oid = gitBlobHash(file.size)
    const hash = createHash('sha256')
    await using spool = await open(path, 'w')
    for await (const chunk of content(0)) {
      options.signal?.throwIfAborted()
      oid.update(chunk)
      hash.update(chunk)
      await spool.appendFile(chunk)
    }
    assertGitOid(file, oid.digest('hex'))
    return await writeBlob(
      storage,
      hash.digest('hex'),
      file.size,
      (start) => createReadStream(path, { start }),
      options,
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function assertGitOid(file: TreeEntry, found: string): void {
  if (found !== file.oid) throw new ContentMismatch(file.path, `git blob ${file.oid}`, found)
}
