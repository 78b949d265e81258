import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, Failure } from '../../hub/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { GrowingFile } from './growing-file.ts'

export interface SpoolOptions {
  readonly directory: string
  /** Bytes of downloads at a time, in this process. */
  readonly limit: number
  readonly logger: Logger
}

/** There is no room for a download: the Hub itself is to answer. */
export class SpoolFull extends Failure {
  constructor(size: number) {
    super('SpoolFull', 503, `there is no room for one more download, of ${size} bytes, in the spool directory`)
  }
}

/**
 * Downloads at a time, in this process. Each holds two files, a connection and up to a MiB of memory, and goes on when
 * its client has left, so that connections bound nothing; a client that asks for one byte begins one.
 */
export const mostDownloads = 256

/** Milliseconds between the promise of room and the download that uses it. */
const reservationPeriod = 500
/** Bytes of the disk that are left to others. */
const spared = 16 * 1024 * 1024
/** Milliseconds without a download after the disk was found full. */
const fullPeriod = 30_000

interface Place {
  readonly size: number
  /** Whether its download has begun, and its file is there or about to be. */
  readonly isTaken: boolean
  /** Absent while it is only reserved. */
  file?: GrowingFile
}

/** Downloads under way, on disk, within a limit and the disk's free space. */
export class Spool {
  readonly #options: SpoolOptions
  readonly #places = new Map<string, Place>()
  #created = 0
  #fullUntil = 0

  constructor(options: SpoolOptions) {
    this.#options = options
  }

  /**
   * Removes what processes that no longer run left behind. Files in use have no name, so that what has one
   * was left by a former version or on a file system that keeps names; where its process is seen to run, it
   * stays. Where it runs unseen, in another container, it goes on with its open file.
   */
  async clean(): Promise<void> {
    const { directory, logger } = this.#options
    try {
      for (const name of await readdir(directory)) {
        const pid = Number(/^[0-9a-f]{40}-(\d+)-[0-9a-z]+$/.exec(name)?.[1] ?? 0)
        if (pid === 0 || isRunning(pid)) continue
        await rm(join(directory, name), { force: true })
        logger.info({ file: name }, 'removed what a former process left in the spool')
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        logger.warn({ directory, err: error }, 'the spool cannot be cleaned')
    }
  }

  /** Whether a download has room. The room is kept for it for a moment. */
  async reserve(key: string, size: number): Promise<boolean> {
    if (this.#places.has(key)) return true
    if (!this.#isWithinLimit(size) || !this.#isBelowCount()) return false
    const place: Place = { size, isTaken: false }
    this.#places.set(key, place)
    if (await this.#diskHasRoom()) {
      setTimeout(() => {
        if (place.file === undefined) this.#give(key, place)
      }, reservationPeriod).unref()
      return true
    }
    this.#give(key, place)
    return false
  }

  /** A file for a download; rejects with {@link SpoolFull} where none was reserved and there is no room, or there are too many. */
  async create(key: string, oid: string, size: number): Promise<GrowingFile> {
    if (!this.#places.has(key) && !(await this.reserve(key, size))) throw new SpoolFull(size)
    if (!this.#isBelowCount()) throw new SpoolFull(size)
    // An object of its own: the reservation's timer must not take it away.
    const place: Place = { size, isTaken: true }
    this.#places.set(key, place)
    const { directory, logger } = this.#options
    try {
      await mkdir(directory, { recursive: true })
      const path = join(directory, `${oid}-${process.pid}-${(this.#created++).toString(36)}${randomSuffix()}`)
      place.file = await GrowingFile.create(path, size, (error) => {
        this.#give(key, place)
        if (error !== undefined) logger.warn({ path, err: error }, 'a spool file was not removed')
      })
      return place.file
    } catch (error) {
      this.#give(key, place)
      if (this.noteFull(error)) throw new SpoolFull(size)
      throw error
    }
  }

  /** Whether an error says that the disk is full; for a while there are then no downloads. */
  noteFull(error: unknown): boolean {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const isFull = code === 'ENOSPC' || code === 'EDQUOT'
    if (isFull) this.#fullUntil = performance.now() + fullPeriod
    return isFull
  }

  #give(key: string, place: Place): void {
    if (this.#places.get(key) === place) this.#places.delete(key)
  }

  #isBelowCount(): boolean {
    let taken = 0
    for (const place of this.#places.values()) if (place.isTaken) taken++
    return taken < mostDownloads
  }

  #isWithinLimit(size: number): boolean {
    let held = size
    for (const place of this.#places.values()) held += place.size
    return held <= this.#options.limit && performance.now() >= this.#fullUntil
  }

  /** Whether what is promised and has not arrived yet fits onto the disk. */
  async #diskHasRoom(): Promise<boolean> {
    const { directory, logger } = this.#options
    try {
      await mkdir(directory, { recursive: true })
      const { bavail, bsize } = await statfs(directory)
      let missing = spared
      for (const { size, file } of this.#places.values()) missing += size - (file?.received ?? 0)
      return bavail * bsize >= missing
    } catch (error) {
      logger.warn({ directory, reason: describeError(error) }, 'the spool cannot be used')
      return false
    }
  }
}

function randomSuffix(): string {
  return Math.random().toString(36).slice(2)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's process may not be signalled, but it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
