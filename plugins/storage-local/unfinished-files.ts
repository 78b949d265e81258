import { createHash, randomBytes } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { unfinishedFolder } from './directory-reader.ts'
import { KernelLock } from './kernel-lock.ts'

const ownerSuffix = '.owner'
/** SQLite's own, beside a lock file; it stays behind where the lock's holder is killed. */
const journalSuffix = `${ownerSuffix}-journal`

/** Milliseconds after which a file whose name says nothing of a living owner is taken for abandoned. */
const abandonedAfter = 24 * 60 * 60_000

/** A temporary file of exactly one writer. */
export interface UnfinishedFile {
  readonly path: string
  readonly handle: FileHandle
}

/**
 * Temporary files of writes. Each belongs to one writer:
 *
 *     <hash of the key>.<owner>-<n>      being written by that owner
 *     <hash of the key>.free-<random>    left by a write that failed, for the next attempt
 *     <owner>.owner                      locked by the kernel for as long as the owner's process lives
 *
 * A file is taken over only by renaming it to a name of one's own, and only if it is free or its
 * owner's lock shows that the owner is dead. Host names and process ids prove nothing of the kind:
 * two containers on one volume may share both.
 */
export class UnfinishedFiles implements Disposable {
  readonly #folder: string
  readonly #owner = randomBytes(8).toString('hex')
  readonly #ownerLock: KernelLock
  #locking: Promise<void> | undefined
  #isLocked = false
  #files = 0
  #inUse = 0

  constructor(root: string) {
    this.#folder = join(root, unfinishedFolder)
    this.#ownerLock = new KernelLock(join(this.#folder, this.#owner + ownerSuffix))
  }

  /**
   * Opens a file to write for as long as `act` runs: the longest that an earlier attempt left if
   * `resumable`, else an empty one. `act` renames, leaves or deletes it; its handle is closed in any case.
   */
  async use<T>(key: string, resumable: boolean, act: (file: UnfinishedFile) => Promise<T>): Promise<T> {
    this.#inUse++
    try {
      await mkdir(this.#folder, { recursive: true })
      // Locked before any file bears this owner's name.
      await this.#lockOwner()
      const path = join(this.#folder, `${hashOf(key)}.${this.#owner}-${this.#files++}`)
      const isTakenOver = resumable && (await this.#takeOver(key, path))
      await using handle = await open(path, isTakenOver ? 'r+' : 'wx+').catch(async (error: unknown) => {
        // By this owner's name nobody could go on with it as long as the process lives.
        if (isTakenOver) await this.leave(key, { path }).catch(() => undefined)
        throw error
      })
      return await act({ path, handle })
    } finally {
      this.#inUse--
    }
  }

  /** Leaves a file for the next attempt; nothing may be written to it any more. */
  async leave(key: string, { path }: Pick<UnfinishedFile, 'path'>): Promise<void> {
    await rename(path, join(this.#folder, `${hashOf(key)}.free-${randomBytes(8).toString('hex')}`))
  }

  async discard(before: Date, dryRun: boolean): Promise<number> {
    let freed = 0
    const names = await this.#names()
    for (const name of names) {
      const path = join(this.#folder, name)
      const found = await stat(path).catch(() => undefined) // renamed into place meanwhile
      if (found === undefined || found.mtime >= before) continue
      if (name.endsWith(ownerSuffix) || name.endsWith(journalSuffix)) {
        if (!dryRun) this.#discardOwner(name)
        continue
      }
      if (!this.#isAbandoned(name, found.mtime)) continue
      freed += found.size
      if (!dryRun) await rm(path, { force: true })
    }
    return freed
  }

  /** Ends the ownership, unless a write is still under way: then it ends with the process. */
  [Symbol.dispose](): void {
    if (!this.#isLocked || this.#inUse > 0) return
    rmSync(this.#ownerLock.path, { force: true })
    this.#ownerLock[Symbol.dispose]()
    this.#isLocked = false
    this.#locking = undefined
  }

  /** Whoever looks whether this owner is dead may have the lock for a moment. */
  async #lockOwner(): Promise<void> {
    this.#locking ??= (async () => {
      while (!this.#ownerLock.tryAcquire()) await delay(1)
      this.#isLocked = true
    })()
    await this.#locking.catch((error: unknown) => {
      this.#locking = undefined
      throw error
    })
  }

  async #takeOver(key: string, path: string): Promise<boolean> {
    const names = (await this.#names()).filter((name) => name.startsWith(`${hashOf(key)}.`))
    const sizes = await Promise.all(
      names
        .filter((name) => this.#isTakeable(name))
        .map(async (name) => ({
          name,
          size: (await stat(join(this.#folder, name)).catch(() => undefined))?.size ?? 0,
        })),
    )
    for (const { name } of sizes.toSorted((a, b) => b.size - a.size)) {
      const won = await rename(join(this.#folder, name), path).then(
        () => true,
        () => false, // another writer was faster
      )
      if (won) return true
    }
    return false
  }

  #isTakeable(name: string): boolean {
    const [, rest = ''] = name.split('.')
    if (rest.startsWith('free-')) return true
    const owner = /^([0-9a-f]{16})-\d+$/.exec(rest)?.[1]
    return owner !== undefined && this.#isDead(owner)
  }

  #isAbandoned(name: string, mtime: Date): boolean {
    if (this.#isTakeable(name)) return true
    // A file of an earlier version: only age tells.
    const isOwned = /^[0-9a-f]{40}\.[0-9a-f]{16}-\d+$/.test(name)
    return !isOwned && Date.now() - mtime.getTime() > abandonedAfter
  }

  /**
   * Deletes what a dead owner locked. Under the lock: an owner that has made the file, and not locked it yet, finds out
   * that it is gone, and makes another.
   */
  #discardOwner(name: string): void {
    const owner = name.slice(0, name.lastIndexOf(ownerSuffix))
    if (owner === this.#owner) return
    const path = join(this.#folder, owner + ownerSuffix)
    if (!existsSync(path)) {
      rmSync(join(this.#folder, owner + journalSuffix), { force: true })
      return
    }
    using lock = new KernelLock(path)
    try {
      // The journal goes with the transaction.
      if (lock.tryAcquire()) rmSync(path, { force: true })
    } catch {
      // Another user's file, say: when in doubt its owner lives.
    }
  }

  /** Owners are never revived, so one that is dead now stays dead. */
  #isDead(owner: string): boolean {
    if (owner === this.#owner) return false
    const path = join(this.#folder, owner + ownerSuffix)
    if (!existsSync(path)) return true
    using lock = new KernelLock(path)
    try {
      return lock.tryAcquire()
    } catch {
      return false // another user's file, say: when in doubt it lives
    }
  }

  async #names(): Promise<string[]> {
    return await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
  }
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 40)
}
