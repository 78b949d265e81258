import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { unfinishedFolder } from './directory-reader.ts'

/** A claim by another machine that has not grown for so long is taken for abandoned. */
const abandonedAfterMs = 5 * 60_000

/** `<hash of the key>.<host>.<pid>.<process>` while claimed, `<hash of the key>.free` between attempts. */
interface UnfinishedName {
  readonly key: string
  readonly owner: { readonly host: string; readonly pid: number; readonly process: string } | undefined
}

/**
 * The files of interrupted writes. Exactly one process may append to one: it claims it by renaming,
 * which only one can win. A claim whose process is dead is free for others.
 */
export class UnfinishedFiles {
  readonly #folder: string
  readonly #host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')
  /** Tells this process from an earlier one with the same pid, as after a container's restart. */
  readonly #process = randomBytes(6).toString('hex')
  #claims = 0

  constructor(root: string) {
    this.#folder = join(root, unfinishedFolder)
  }

  /** The path of a file to append to: one left by an earlier attempt if `resumable`, or a new one. */
  async claim(key: string, resumable: boolean): Promise<string> {
    await mkdir(this.#folder, { recursive: true })
    const mine = join(this.#folder, `${hashOf(key)}.${this.#host}.${process.pid}.${this.#process}-${this.#claims++}`)
    if (resumable) {
      for (const name of await this.#freeFilesOf(key)) {
        const won = await rename(join(this.#folder, name), mine).then(
          () => true,
          () => false, // another process was faster
        )
        if (won) {
          await utimes(mine, new Date(), new Date())
          break
        }
      }
    }
    return mine
  }

  /** Leaves a file for the next attempt. */
  async release(key: string, path: string): Promise<void> {
    await rename(path, join(this.#folder, `${hashOf(key)}.free`))
  }

  async discard(before: Date, dryRun: boolean): Promise<number> {
    let freed = 0
    for (const name of await this.#names()) {
      const path = join(this.#folder, name)
      const found = await stat(path).catch(() => undefined) // renamed into place meanwhile
      if (found === undefined || found.mtime >= before || !(await this.#isFree(name))) continue
      freed += found.size
      if (!dryRun) await rm(path, { force: true })
    }
    return freed
  }

  async #freeFilesOf(key: string): Promise<string[]> {
    const names = (await this.#names()).filter((name) => parseName(name)?.key === hashOf(key))
    const free = await Promise.all(names.map((name) => this.#isFree(name)))
    return names.filter((_, index) => free[index])
  }

  async #isFree(name: string): Promise<boolean> {
    const owner = parseName(name)?.owner
    if (owner === undefined) return true
    if (owner.host === this.#host) {
      if (owner.pid === process.pid) return !owner.process.startsWith(this.#process)
      return !isAlive(owner.pid)
    }
    const found = await stat(join(this.#folder, name)).catch(() => undefined) // finished meanwhile
    return found !== undefined && Date.now() - found.mtimeMs > abandonedAfterMs
  }

  async #names(): Promise<string[]> {
    return await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
  }
}

function parseName(name: string): UnfinishedName | undefined {
  const [key, host, pid, owner] = name.split('.')
  if (key === undefined || host === undefined) return undefined
  if (pid === undefined || owner === undefined) return { key, owner: undefined }
  return { key, owner: { host, pid: Number(pid), process: owner } }
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 40)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
