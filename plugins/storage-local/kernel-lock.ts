import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** SQLite's primary result code for "another connection holds the lock". */
const busy = 5

/**
 * A lock between processes that the kernel holds: it is freed at the instant its holder dies, and
 * never while the holder lives, however long that is stopped. A lock file with a pid or a time-out
 * can promise neither. Node has no call for file locks, so SQLite takes one: an exclusive
 * transaction on a database that stays empty.
 */
export class KernelLock implements Disposable {
  readonly path: string
  #database: DatabaseSync | undefined
  #inode: number | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Takes the lock if nobody has it. Throws where the file can't be opened or the file system has no locks. */
  tryAcquire(): boolean {
    try {
      this.#open().exec('BEGIN EXCLUSIVE')
    } catch (error) {
      if (isBusy(error)) return false
      // SQLite does not go on with a file that somebody deleted.
      const isGone = this.#database !== undefined && !this.#isCurrent()
      this[Symbol.dispose]()
      if (isGone) return this.tryAcquire()
      throw error
    }
    if (this.#isCurrent()) return true
    // Somebody deleted the file, and others now lock its successor.
    this[Symbol.dispose]()
    return this.tryAcquire()
  }

  release(): void {
    this.#database?.exec('ROLLBACK')
  }

  /** Frees the lock if it is held. */
  [Symbol.dispose](): void {
    this.#database?.close()
    this.#database = undefined
  }

  #open(): DatabaseSync {
    if (this.#database === undefined) {
      this.#database = new DatabaseSync(this.path, { timeout: 0 })
      this.#inode = this.#inodeNow()
    }
    return this.#database
  }

  #isCurrent(): boolean {
    return this.#inode !== undefined && this.#inodeNow() === this.#inode
  }

  #inodeNow(): number | undefined {
    return statSync(this.path, { throwIfNoEntry: false })?.ino
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === busy
}
