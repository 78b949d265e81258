import pMap from 'p-map'
import { Failure, type Repository } from '../hub/index.ts'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { breakClaim, type ClaimedObject, isEmptyObject } from './claimed-object.ts'
import { type JournalEntry, parseJournalEntry } from './journal-entry.ts'
import type { Judge } from './judge.ts'
import { manifestKey, parseRepositoryKey, repositoriesPrefix } from './layout.ts'
import type { Lease } from './lease.ts'
import { blobNameOf, isDamage, type ManifestFile, parseManifest, parseRef } from './manifest.ts'
import { listObjects, writerOf } from './objects.ts'
import { breakRefClaim } from './ref-claim.ts'

/** Objects read at a time: on a bucket the time is in the round trips. */
const readsAtATime = 16

/** A journal, and how many entries it has. */
export interface Journal {
  readonly repository: Repository
  readonly commit: string
  readonly entries: number
}

type PulledObject = Pick<Journal, 'repository' | 'commit'>

/** What names blobs: a manifest, or a journal entry. */
interface NamingObject extends ClaimedObject {
  readonly files: readonly ManifestFile[]
}

type Parse = (key: string, text: string) => NamingObject

/**
 * Names of blobs that manifests, journal entries and the claims on them need, gathered by reading each once, and
 * again only where it has changed. Names are only added: what was needed at any reading is spared.
 */
export class NamedBlobs {
  readonly names = new Set<string>()
  readonly #storage: Storage
  readonly #lease: Lease
  readonly #judge: Judge
  readonly #read = new Map<string, string>()
  /** By manifest, as last read. */
  readonly #births = new Map<string, string>()
  readonly #journals = new Map<string, Journal>()

  constructor(storage: Storage, lease: Lease, judge: Judge) {
    this.#storage = storage
    this.#lease = lease
    this.#judge = judge
  }

  /** Commits of which files were pulled, with how many entries their journals had at the last reading. */
  get journals(): readonly Journal[] {
    return [...this.#journals.values()]
  }

  /**
   * Reads every manifest and journal entry that is new or has changed. Claims of dead runs are taken
   * out, as are objects that consist of nothing else, and entries whose manifest is gone. Rejects where
   * one can't be read: its blobs would look like orphans.
   */
  async gather(options: OperationOptions): Promise<void> {
    const listed = await listObjects(this.#storage, repositoriesPrefix, options)
    const objects = listed.flatMap(({ key, generation }) => {
      const object = parseRepositoryKey(key)
      return object === undefined ? [] : [{ key, generation, object }] // `verify` tells of what is neither
    })
    this.#journals.clear()
    await pMap(
      objects,
      async ({ key, generation, object }) => {
        if (object.kind === 'pulled') this.#count(object)
        if (object.kind === 'ref' || (generation !== undefined && this.#read.get(key) === generation)) return
        if (object.kind === 'manifest') await this.#readObject(key, parseManifest, options)
        else await this.#readEntry(key, object, options)
      },
      { concurrency: readsAtATime },
    )
    const refs = objects.filter(({ object }) => object.kind === 'ref')
    await pMap(refs, ({ key }) => this.#tidyRef(key, options), { concurrency: readsAtATime })
  }

  #count({ repository, commit }: PulledObject): void {
    const key = manifestKey(repository, commit)
    const entries = (this.#journals.get(key)?.entries ?? 0) + 1
    this.#journals.set(key, { repository, commit, entries })
  }

  /** Adds what an object needs, once no dead run has a claim on it. */
  async #readObject(key: string, parse: Parse, options: OperationOptions): Promise<void> {
    for (;;) {
      const found = await writerOf(this.#storage).load(key, options)
      if (found === undefined || this.#read.get(key) === found.generation) return
      const object = parseOrStop(() => parse(key, found.bytes.toString()))
      const dead = await this.#deadClaims(object, options)
      if (dead.length === 0) {
        for (const name of neededNames(object)) this.names.add(name)
        this.#read.set(key, found.generation)
        return
      }
      // A run that has ended may have committed since its claim was read: so the object is read again.
      for (const run of dead) await this.#breakClaim(key, parse, run, options)
    }
  }

  /** An entry goes whose manifest is of another birth, or gone: nobody reads it, now or later. */
  async #readEntry(key: string, { repository, commit }: PulledObject, options: OperationOptions): Promise<void> {
    const writer = writerOf(this.#storage)
    const found = await writer.load(key, options)
    if (found === undefined) return
    const entry = parseOrStop(() => parseJournalEntry(key, found.bytes.toString()))
    if (await this.#isOf(entry, manifestKey(repository, commit), options))
      return await this.#readObject(key, parseJournalEntry, options)
    try {
      await writer.remove(key, { ...options, ifGeneration: found.generation })
    } catch (error) {
      if (!(error instanceof Conflict)) throw error
      await this.#readObject(key, parseJournalEntry, options) // a pull has begun it anew
    }
  }

  async #isOf({ of }: JournalEntry, key: string, options: OperationOptions): Promise<boolean> {
    if (this.#births.get(key) === of) return true
    // Read after the entry: a birth that was there when the entry was written, and is not now, never comes back.
    const birth = await this.#readBirth(key, options)
    if (birth !== undefined) this.#births.set(key, birth)
    return birth === of
  }

  async #readBirth(key: string, options: OperationOptions): Promise<string | undefined> {
    const found = await writerOf(this.#storage).load(key, options)
    return found && parseOrStop(() => parseManifest(key, found.bytes.toString())).birth
  }

  async #deadClaims({ claims }: ClaimedObject, options: OperationOptions): Promise<string[]> {
    const dead: string[] = []
    for (const [run, { lease }] of Object.entries(claims ?? {}))
      if (await this.#judge.isDead(lease, options)) dead.push(run)
    return dead
  }

  async #breakClaim(key: string, parse: Parse, run: string, options: OperationOptions): Promise<void> {
    const claim = { storage: this.#storage, key, parse, isEmpty: isEmptyObject, run, by: this.#lease.id }
    await breakClaim({ ...options, ...claim })
  }

  async #tidyRef(key: string, options: OperationOptions): Promise<void> {
    const writer = writerOf(this.#storage)
    const found = await writer.load(key, options)
    if (found === undefined) return
    const ref = parseOrStop(() => parseRef(key, found.bytes.toString()))
    const claims = Object.entries(ref.claims ?? {})
    for (const [run, { lease }] of claims)
      if (await this.#judge.isDead(lease, options))
        await breakRefClaim(this.#storage, key, run, this.#lease.id, options)
    if (ref.commit === null || claims.length > 0) return
    const object = parseRepositoryKey(key)
    if (object === undefined) return
    const manifest = await this.#storage.stat(manifestKey(object.repository, ref.commit), options)
    if (manifest !== undefined) return
    await writer.remove(key, { ...options, ifGeneration: found.generation }).catch((error: unknown) => {
      if (!(error instanceof Conflict)) throw error // it has moved on
    })
  }
}

/** What an object names to readers, and what is claimed on it. */
function neededNames({ pending, files, claims }: NamingObject): string[] {
  const named = pending === true ? [] : files.flatMap((file) => blobNameOf(file) ?? [])
  return [...named, ...Object.values(claims ?? {}).flatMap(({ blobs }) => blobs)]
}

function parseOrStop<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!isDamage(error)) throw error
    const reason = `nothing was swept: ${error.message}; run mirrorface verify --repair first`
    throw new Failure('DamagedStorage', 500, reason, { cause: error })
  }
}
