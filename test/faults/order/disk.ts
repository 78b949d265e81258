import { dirname, relative } from 'node:path'
import type { Call } from './trace.ts'

interface Interval {
  readonly start: number
  readonly end: number
}

/** A file that is being written, under whatever name. */
interface OpenFile {
  bytes: Buffer
  /** The end of the last call that changed it. */
  changedAt: number
  readonly syncs: Interval[]
}

/** What a key held from a moment on. */
export interface Version extends Interval {
  readonly key: string
  /** `undefined`: it was removed. */
  readonly bytes: Buffer | undefined
  /** Whether the data had been synced when the name appeared. */
  readonly isSynced: boolean
}

const temporary = /^\.unfinished\/|(?:^|\/)\.mirrorface-lock/

/**
 * A directory as a trace changed it: which object had which content when, and from when on a power cut would have
 * left it so. Times are lines of the trace; what was there before is at -1, and durable.
 */
export class TracedDisk {
  readonly #root: string
  readonly #files = new Map<string, OpenFile>()
  readonly #versions = new Map<string, Version[]>()
  readonly #folders = new Map<string, Interval>()
  readonly #folderSyncs = new Map<string, Interval[]>()
  /** By key: when it was opened. */
  readonly opened = new Map<string, Interval[]>()

  constructor(root: string, before: ReadonlyMap<string, Buffer>, calls: readonly Call[]) {
    this.#root = root
    for (const [key, bytes] of before) this.#add({ key, bytes, isSynced: true, start: -1, end: -1 })
    for (const call of calls) this.#follow(call)
  }

  /** Every change of an object that the trace has, in order. */
  changes(): Version[] {
    return [...this.#versions.values()]
      .flat()
      .filter(({ start }) => start >= 0)
      .sort((one, other) => one.start - other.start)
  }

  keys(): string[] {
    return [...this.#versions.keys()]
  }

  /** The versions of an object, oldest first. */
  versions(key: string): readonly Version[] {
    return this.#versions.get(key) ?? []
  }

  /** What an object is for whoever begins to look at a time; a change that is under way then counts as made. */
  at(key: string, time: number): Version | undefined {
    return this.versions(key).findLast(({ start }) => start < time)
  }

  /** When a change had become durable: its folder was synced after it, and so was that of each folder made on the way. */
  durableAt({ key, end }: Version): number {
    if (end < 0) return -1
    let durable = this.#syncedAt(dirname(this.#path(key)), end)
    for (let folder = dirname(this.#path(key)); folder.length > this.#root.length; folder = dirname(folder)) {
      const made = this.#folders.get(folder)
      if (made !== undefined) durable = Math.max(durable, this.#syncedAt(dirname(folder), made.end))
    }
    return durable
  }

  /** The end of the first sync of a folder that began after a time. */
  #syncedAt(folder: string, after: number): number {
    const syncs = this.#folderSyncs.get(folder) ?? []
    return Math.min(...syncs.filter(({ start }) => start > after).map(({ end }) => end))
  }

  #follow(call: Call): void {
    const [path = '', target = ''] = call.paths
    if (/^(?:open|openat|creat)$/.test(call.name)) this.#open(path, call)
    else if (/^p?writev?2?(?:64)?$/.test(call.name)) this.#write(path, call)
    else if (/^f(?:data)?sync$/.test(call.name)) this.#sync(path, call)
    else if (/^rename/.test(call.name)) this.#rename(path, target, call)
    else if (/^unlink/.test(call.name)) this.#unlink(path, call)
    else if (/^mkdir/.test(call.name)) this.#folders.set(path, call)
    else if (call.name === 'ftruncate') this.#change(path, call, (bytes) => bytes.subarray(0, 0))
    // No rule here knows what such a call does to an object.
    else if (this.#isObject(path) || this.#isObject(target)) throw new Error(`unexpected ${call.name} of ${path}`)
  }

  #sync(path: string, call: Call): void {
    const file = this.#files.get(path)
    if (file !== undefined) file.syncs.push(call)
    else this.#folderSyncs.set(path, [...(this.#folderSyncs.get(path) ?? []), call])
  }

  #unlink(path: string, call: Call): void {
    this.#files.delete(path)
    if (this.#isObject(path)) this.#add({ key: this.#key(path), bytes: undefined, isSynced: true, ...times(call) })
  }

  #open(path: string, call: Call): void {
    if (call.flags.includes('O_CREAT')) {
      if (this.#isObject(path)) throw new Error(`${path} is written in place`)
      this.#files.set(path, { bytes: Buffer.alloc(0), changedAt: call.end, syncs: [] })
    } else if (this.#isObject(path)) {
      const key = this.#key(path)
      this.opened.set(key, [...(this.opened.get(key) ?? []), call])
    }
  }

  #write(path: string, call: Call): void {
    if (this.#isObject(path)) throw new Error(`${path} is written in place`)
    this.#change(path, call, (before) => {
      const position = call.position ?? before.length
      const bytes = Buffer.alloc(Math.max(before.length, position + call.bytes.length))
      before.copy(bytes)
      call.bytes.copy(bytes, position)
      return bytes
    })
  }

  #change(path: string, call: Call, update: (bytes: Buffer) => Buffer): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    file.bytes = update(file.bytes)
    file.changedAt = Math.max(file.changedAt, call.end)
  }

  #rename(from: string, to: string, call: Call): void {
    // One that an earlier process left: what it wrote may not have reached the disk.
    const file = this.#files.get(from) ?? { bytes: Buffer.alloc(0), changedAt: call.end, syncs: [] }
    this.#files.delete(from)
    if (!this.#isObject(to)) {
      this.#files.set(to, file)
      return
    }
    const isSynced = file.syncs.some(({ start, end }) => start > file.changedAt && end < call.start)
    this.#add({ key: this.#key(to), bytes: file.bytes, isSynced, ...times(call) })
  }

  #add(version: Version): void {
    this.#versions.set(version.key, [...this.versions(version.key), version])
  }

  #isObject(path: string): boolean {
    return path.startsWith(`${this.#root}/`) && !temporary.test(this.#key(path))
  }

  #key(path: string): string {
    return relative(this.#root, path)
  }

  #path(key: string): string {
    return `${this.#root}/${key}`
  }
}

function times({ start, end }: Call): Interval {
  return { start, end }
}
