import pMap from 'p-map'
import { z } from 'zod'
import { Failure } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject } from './change-object.ts'
import { blobName, deletionKey, deletionsPrefix, layoutVersion, parseDeletionKey, sha256OfName } from './layout.ts'
import { parseObject } from './manifest.ts'
import { listObjects, readText } from './objects.ts'

const entrySchema = z.looseObject({
  layout: z.literal(layoutVersion),
  rev: z.string(),
  writer: z.string(),
  number: z.int().positive(),
  /** `candidates` may be vetoed; a name in a `final` entry is gone for good, whether deleted yet or not. */
  phase: z.enum(['candidates', 'final', 'done', 'abandoned']),
  /** The lease of the sweep that published it. */
  by: z.string(),
  why: z.enum(['sweep', 'evict']),
  candidates: z.array(z.string()),
  vetoes: z.array(z.string()),
  /** What is deleted, from `final` on. */
  blobs: z.array(z.string()),
})
export type DeletionEntry = z.infer<typeof entrySchema>

export function parseDeletionEntry(key: string, text: string): DeletionEntry {
  return parseObject(entrySchema, key, text)
}

/** Whether names in the entry's `blobs` are condemned. */
export function isCondemning({ phase }: DeletionEntry): boolean {
  return phase === 'final' || phase === 'done'
}

/**
 * The published deletions, as far as a run has read them. Nothing deletes a blob but an entry of
 * this log, so a run that has claimed names and then reads it knows whether they will stay.
 */
export class DeletionLog {
  readonly #storage: Storage
  readonly #entries = new Map<number, DeletionEntry>()
  #oldestAtFirst: number | undefined
  #reading: Promise<unknown> = Promise.resolve()
  #next: Promise<readonly DeletionEntry[]> | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /**
   * Reads what is new or may have changed: an entry that is condemning or abandoned stays what it is.
   * Of callers at the same time all but the first share one reading, which begins after each has called.
   */
  async read(options: OperationOptions = {}): Promise<readonly DeletionEntry[]> {
    this.#next ??= this.#readAfter(this.#reading, options)
    return await this.#next
  }

  async #readAfter(former: Promise<unknown>, options: OperationOptions): Promise<readonly DeletionEntry[]> {
    await former.catch(() => undefined)
    const reading = this.#read(options)
    this.#reading = reading
    this.#next = undefined
    return await reading
  }

  async #read(options: OperationOptions): Promise<readonly DeletionEntry[]> {
    // An entry that was dropped after it had been listed leaves a gap, which only a new listing shows.
    while (!(await this.#readListed(options)));
    this.#oldestAtFirst ??= this.#oldest
    return this.entries
  }

  /** By number. */
  get entries(): readonly DeletionEntry[] {
    return [...this.#entries.values()].toSorted((a, b) => a.number - b.number)
  }

  /** Whether entries that this log has never read may have been dropped since its first reading. */
  get hasGap(): boolean {
    return this.#oldest > (this.#oldestAtFirst ?? 1)
  }

  /** The name under which new content is stored: one that no entry has condemned. */
  nameFor(sha256: string): string {
    const condemning = this.entries.findLast(
      (entry) => isCondemning(entry) && entry.blobs.some((name) => sha256OfName(name) === sha256),
    )
    return blobName(sha256, condemning?.number)
  }

  /**
   * To be called after names have been claimed: vetoes the deletion of those that are candidates,
   * and resolves to those that are condemned.
   */
  async check(run: string, names: ReadonlySet<string>, options: OperationOptions = {}): Promise<Set<string>> {
    const condemned = new Set<string>()
    for (const entry of await this.read(options)) {
      const hits = entry.candidates.filter((name) => names.has(name))
      const now = entry.phase === 'candidates' && hits.length > 0 ? await this.#veto(run, entry, hits, options) : entry
      if (isCondemning(now)) for (const name of now.blobs) if (names.has(name)) condemned.add(name)
    }
    return condemned
  }

  get #oldest(): number {
    return this.#entries.size === 0 ? 1 : Math.min(...this.#entries.keys())
  }

  async #veto(
    run: string,
    { number }: DeletionEntry,
    names: readonly string[],
    options: OperationOptions,
  ): Promise<DeletionEntry> {
    const key = deletionKey(number)
    const entry = await changeObject<DeletionEntry>({
      ...options,
      storage: this.#storage,
      run,
      key,
      parse: parseDeletionEntry,
      decide: (current) => {
        if (current === undefined) throw new Failure('DamagedStorage', 500, `${key} is missing or damaged`)
        // Published before this run's claim was complete, and final before its veto: then it stands.
        if (current.phase !== 'candidates') return 'keep'
        return { write: { ...current, vetoes: [...new Set([...current.vetoes, ...names])] } }
      },
    })
    if (entry === undefined) throw new Failure('DamagedStorage', 500, `${key} is missing`)
    this.#entries.set(number, entry)
    return entry
  }

  /** Resolves to whether every entry that was listed could be read. */
  async #readListed(options: OperationOptions): Promise<boolean> {
    const listed = await listObjects(this.#storage, deletionsPrefix, options)
    const numbers = listed.flatMap(({ key }) => parseDeletionKey(key) ?? [])
    for (const known of this.#entries.keys()) if (!numbers.includes(known)) this.#entries.delete(known)
    const open = numbers.filter((number) => (this.#entries.get(number)?.phase ?? 'candidates') === 'candidates')
    const found = await pMap(open, (number) => this.#readEntry(number, options), { concurrency: 16 })
    return found.every((isThere) => isThere)
  }

  async #readEntry(number: number, options: OperationOptions): Promise<boolean> {
    const key = deletionKey(number)
    const text = await readText(this.#storage, key, options)
    if (text === undefined) return false
    this.#entries.set(number, parseDeletionEntry(key, text))
    return true
  }
}
