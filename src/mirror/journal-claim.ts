import type { OperationOptions, Storage } from '../plugin/index.ts'
import type { BlobClaim } from './adopt.ts'
import { changeObject, type Decision, randomId } from './change-object.ts'
import { ClaimLost } from './claim-lost.ts'
import { breakClaim, isEmptyObject, withoutClaim } from './claimed-object.ts'
import { type JournalEntry, parseJournalEntry } from './journal-entry.ts'
import { layoutVersion } from './layout.ts'
import type { ManifestFile } from './manifest.ts'

export interface JournalClaimOptions extends OperationOptions {
  readonly storage: Storage
  /** The lease of the worker that pulls. */
  readonly lease: string
  readonly key: string
  /** Of the commit's manifest. */
  readonly birth: string
  /** As the manifest has it without its content. */
  readonly file: ManifestFile
}

/**
 * A pull's claim on the journal entry of its file. A worker has one lease for all its pulls, so each
 * claim has a name of its own: one pull never commits by the claim of another.
 */
export class JournalClaim implements BlobClaim {
  readonly #options: JournalClaimOptions
  /** The claim's name. */
  readonly run = randomId()
  #isStanding = false

  constructor(options: JournalClaimOptions) {
    this.#options = options
  }

  /** Resolves to `superfluous` where another pull has committed the file. Rejects with a {@link ClaimLost}. */
  async claim(names: ReadonlySet<string>): Promise<'claimed' | 'superfluous'> {
    const { lease, key, birth, file } = this.#options
    let outcome: 'claimed' | 'superfluous' = 'claimed'
    await this.#change((current) => {
      outcome = 'claimed'
      const entry = this.#ofThisBirth(current)
      if (entry !== undefined && entry.pending !== true) {
        outcome = 'superfluous'
        return 'keep'
      }
      if (this.#isStanding && entry?.claims?.[this.run] === undefined) throw new ClaimLost(key)
      const blank: JournalEntry = { layout: layoutVersion, of: birth, files: [file], pending: true }
      const claim = { lease, kind: 'pull', blobs: [...names] }
      return { write: { ...(entry ?? blank), claims: { ...entry?.claims, [this.run]: claim } } }
    })
    this.#isStanding = outcome === 'claimed'
    return outcome
  }

  /** Makes the entry visible with this content, unless another pull has; resolves to the file as it then stands there. */
  async commit(file: ManifestFile): Promise<ManifestFile> {
    const committed = await this.#change((current) => {
      const entry = this.#ofThisBirth(current)
      if (entry !== undefined && entry.pending !== true)
        return entry.claims?.[this.run] === undefined ? 'keep' : { write: withoutClaim(entry, this.run) }
      if (entry?.claims?.[this.run] === undefined) throw new ClaimLost(this.#options.key)
      return { write: withoutClaim({ ...entry, pending: undefined, files: [file] }, this.run) }
    })
    this.#isStanding = false
    if (committed === undefined) throw new ClaimLost(this.#options.key)
    return committed.files[0]
  }

  /** Takes the claim out of an entry that is not committed. Only tidy: with its lease gone it is dead anyway. */
  async release(): Promise<void> {
    if (!this.#isStanding) return
    const { storage, key } = this.#options
    await breakClaim({ storage, key, parse: parseJournalEntry, isEmpty: isEmptyObject, run: this.run, by: this.run })
  }

  /** An entry of another birth was pulled for a manifest that is gone: it is written over. */
  #ofThisBirth(current: JournalEntry | undefined): JournalEntry | undefined {
    return current?.of === this.#options.birth ? current : undefined
  }

  async #change(
    decide: (current: JournalEntry | undefined) => Decision<JournalEntry>,
  ): Promise<JournalEntry | undefined> {
    const { storage, key, signal } = this.#options
    const options = signal === undefined ? {} : { signal }
    return await changeObject<JournalEntry>({
      ...options,
      storage,
      run: this.run,
      key,
      parse: parseJournalEntry,
      decide,
    })
  }
}
