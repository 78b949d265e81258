import pMap from 'p-map'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { changeObject, randomId } from './change-object.ts'
import { type DeletionEntry, DeletionLog, parseDeletionEntry } from './deletion-log.ts'
import type { Judge } from './judge.ts'
import { blobKey, deletionKey, layoutVersion } from './layout.ts'
import type { Lease } from './lease.ts'
import { writeJson, writerOf } from './objects.ts'

/** Names in one entry. */
const entrySize = 10_000

/** Milliseconds for which an entry that is through stays in the log. */
const keptFor = 30 * 24 * 3_600_000

/** Milliseconds after which a final entry is read again before more is deleted by it. */
const readFor = 3_600_000

/** Blobs deleted at a time. */
const deletionsAtATime = 16

/** The entries of the deletion log that one sweep publishes and carries out. */
export class CondemnedBlobs {
  readonly #storage: Storage
  readonly #lease: Lease
  readonly #judge: Judge
  readonly #log: DeletionLog
  readonly #published: number[] = []

  constructor(storage: Storage, lease: Lease, judge: Judge) {
    this.#storage = storage
    this.#lease = lease
    this.#judge = judge
    this.#log = new DeletionLog(storage)
  }

  /** Abandons what dead sweeps only published, finishes what they had made final, and drops what is long through. */
  async finishOthers(options: OperationOptions): Promise<void> {
    for (const entry of await this.#log.read(options)) {
      if (entry.phase === 'candidates' && (await this.#judge.isDead(entry.by, options)))
        await this.#abandon(entry, options)
      else if (entry.phase === 'final') await this.#carryOut(entry, options)
    }
    await this.#dropOld(options)
  }

  /** Publishes candidates, so that runs which claim one of them from now on know. */
  async publish(names: readonly string[], options: OperationOptions): Promise<void> {
    for (let start = 0; start < names.length; start += entrySize)
      await this.#publishEntry(names.slice(start, start + entrySize), options)
  }

  /** Makes the published entries final, but for what is named, and deletes; resolves to the names deleted. */
  async finish(named: ReadonlySet<string>, options: OperationOptions): Promise<Set<string>> {
    const gone = new Set<string>()
    for (const number of this.#published) {
      const entry = await this.#makeFinal(number, named, options)
      if (entry?.phase !== 'final') continue
      await this.#carryOut(entry, options)
      for (const name of entry.blobs) gone.add(name)
    }
    return gone
  }

  async #publishEntry(candidates: readonly string[], options: OperationOptions): Promise<void> {
    for (let number = (this.#log.entries.at(-1)?.number ?? 0) + 1; ; number++) {
      if (this.#published.includes(number)) continue
      const entry: DeletionEntry = {
        layout: layoutVersion,
        rev: randomId(),
        writer: this.#lease.id,
        number,
        phase: 'candidates',
        by: this.#lease.id,
        why: 'sweep',
        candidates: [...candidates],
        vetoes: [],
        blobs: [],
      }
      try {
        await writeJson(writerOf(this.#storage), deletionKey(number), entry, { ...options, ifAbsent: true })
        this.#published.push(number)
        return
      } catch (error) {
        // Another sweep has the number, or this is our own entry whose response was lost: it is abandoned later.
        if (!(error instanceof Conflict)) throw error
      }
    }
  }

  async #makeFinal(
    number: number,
    named: ReadonlySet<string>,
    options: OperationOptions,
  ): Promise<DeletionEntry | undefined> {
    return await this.#change(number, options, (current) => {
      // Judged dead meanwhile, and abandoned: then it deletes nothing.
      if (current.phase !== 'candidates') return 'keep'
      const vetoes = new Set(current.vetoes)
      const blobs = current.candidates.filter((name) => !named.has(name) && !vetoes.has(name))
      return { write: { ...current, phase: 'final', candidates: [], vetoes: [], blobs } }
    })
  }

  /** Deletes what a final entry says. It may be repeated, and by several: nobody adopts these names again. */
  async #carryOut(entry: DeletionEntry, options: OperationOptions): Promise<void> {
    let readAt = performance.now()
    const isStillThere = async (): Promise<boolean> => {
      if (performance.now() - readAt < readFor) return true
      readAt = performance.now()
      const found = await writerOf(this.#storage).load(deletionKey(entry.number), options)
      return found !== undefined && parseDeletionEntry('', found.bytes.toString()).phase === 'final'
    }
    let isEnded = false
    await pMap(
      entry.blobs,
      async (name) => {
        isEnded ||= !(await isStillThere())
        if (!isEnded) await writerOf(this.#storage).remove(blobKey(name), options)
      },
      { concurrency: deletionsAtATime },
    )
    if (!isEnded) await this.#setPhase(entry, 'done', options)
  }

  async #abandon(entry: DeletionEntry, options: OperationOptions): Promise<void> {
    await this.#change(entry.number, options, (current) =>
      current.phase === 'candidates'
        ? { write: { ...current, phase: 'abandoned', candidates: [], vetoes: [] } }
        : 'keep',
    )
  }

  async #setPhase(entry: DeletionEntry, phase: 'done', options: OperationOptions): Promise<void> {
    await this.#change(entry.number, options, (current) =>
      current.phase === 'final' ? { write: { ...current, phase } } : 'keep',
    )
  }

  /** Oldest first, and never the newest: so a number is never used twice, and a gap shows. */
  async #dropOld(options: OperationOptions): Promise<void> {
    const entries = (await this.#log.read(options)).slice(0, -1)
    for (const { number } of entries) {
      const key = deletionKey(number)
      const found = await writerOf(this.#storage).load(key, options)
      if (found === undefined) continue
      const { phase } = parseDeletionEntry(key, found.bytes.toString())
      const age = this.#lease.renewedAt.getTime() - found.updatedAt.getTime()
      if ((phase !== 'done' && phase !== 'abandoned') || age <= keptFor) return
      await writerOf(this.#storage)
        .remove(key, { ...options, ifGeneration: found.generation })
        .catch((error: unknown) => {
          if (!(error instanceof Conflict)) throw error // another sweep does the same
        })
    }
  }

  async #change(
    number: number,
    options: OperationOptions,
    decide: (current: DeletionEntry) => { write: DeletionEntry } | 'keep',
  ): Promise<DeletionEntry | undefined> {
    return await changeObject<DeletionEntry>({
      ...options,
      storage: this.#storage,
      run: this.#lease.id,
      key: deletionKey(number),
      parse: parseDeletionEntry,
      decide: (current) => (current === undefined ? 'keep' : decide(current)),
    })
  }
}
