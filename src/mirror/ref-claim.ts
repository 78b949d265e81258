import type { RefKind } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject, type Decision } from './change-object.ts'
import { ClaimLost } from './claim-lost.ts'
import { breakClaim, withoutClaim } from './claimed-object.ts'
import type { Lease } from './lease.ts'
import { parseRef, type StoredRef } from './manifest.ts'

/** Milliseconds. The Hub's clock counts seconds: words less far apart can't be told in order by it. */
const ambiguous = 5000

export interface RefClaimOptions extends OperationOptions {
  readonly storage: Storage
  readonly lease: Lease
  readonly key: string
  readonly kind: RefKind
  readonly commit: string
  /** The claim's name; absent: the lease's, which has one claim on the ref at most. */
  readonly run?: string
  /** A file of the commit was pulled through; the branch is not mirrored on purpose. */
  readonly pulled?: boolean
}

/** What the source says of a ref: its commit, and when. */
export interface Word {
  readonly commit: string
  readonly saidAt: Date
}

/**
 * A run's claim on a ref, written before the manifest to which it is to point is changed: a prune
 * that reads the refs after that sees it, and one that read them before meets another generation.
 */
export class RefClaim {
  readonly #options: RefClaimOptions
  readonly #run: string

  constructor(options: RefClaimOptions) {
    this.#options = options
    this.#run = options.run ?? options.lease.id
  }

  async claim(): Promise<void> {
    const { lease, kind, commit } = this.#options
    await this.#change((current) => {
      const ref = current ?? { commit: null, kind }
      return { write: { ...ref, claims: { ...ref.claims, [this.#run]: { lease: lease.id, commit } } } }
    })
  }

  /**
   * Takes the claim out, and moves the ref unless it has a newer word. `askAgain` is asked where the
   * stored word is too close to this one to tell. Rejects with a {@link ClaimLost}.
   */
  async commit(word: Word, askAgain: () => Promise<Word>): Promise<void> {
    let latest = word
    let before: StoredRef | undefined
    let isUnclear: boolean
    do {
      isUnclear = false
      await this.#change((current) => {
        this.#assertClaimed(current)
        const ref = withoutClaim(current, this.#run)
        // The source was asked after the stored word had been read: then this one is newer.
        const isNewest = before !== undefined && isSameWord(before, ref)
        isUnclear = !isNewest && isAmbiguous(ref, latest)
        if (!isUnclear) return this.#moved(ref, latest, isNewest)
        before = ref
        return 'keep'
      })
      if (isUnclear) latest = await askAgain()
    } while (isUnclear)
  }

  /** Takes the claim out of a ref that is not moved. Only tidy: with its lease gone it is dead anyway. */
  async release(): Promise<void> {
    const { storage, key } = this.#options
    await breakRefClaim(storage, key, this.#run, this.#run)
  }

  #moved(ref: StoredRef, word: Word, isNewest: boolean): Decision<StoredRef> {
    const { commit, kind, pulled } = this.#options
    const saidAt = storedWord(ref)
    const mayMove = pulled !== true || ref.commit === null || ref.pulled === true
    const isNewer = isNewest || word.saidAt >= saidAt || (ref.pulled === true && pulled !== true)
    // A word that names another commit than the one that was mirrored moves nothing.
    if (mayMove && isNewer && word.commit === commit) {
      const at = new Date(Math.max(word.saidAt.getTime(), isNewest ? saidAt.getTime() : 0))
      return {
        write: {
          ...ref,
          commit,
          kind,
          saidAt: at.toISOString(),
          updatedAt: undefined,
          pulled: pulled === true ? true : undefined,
        },
      }
    }
    return isEmptyRef(ref) ? 'remove' : { write: ref }
  }

  #assertClaimed(current: StoredRef | undefined): asserts current is StoredRef {
    if (current?.claims?.[this.#run] === undefined) throw new ClaimLost(this.#options.key)
  }

  async #change(decide: (current: StoredRef | undefined) => Decision<StoredRef>): Promise<void> {
    const { storage, key, signal } = this.#options
    const options = signal === undefined ? {} : { signal }
    await changeObject<StoredRef>({ ...options, storage, run: this.#run, key, parse: parseRef, decide })
  }
}

/** When the stored word was said; one of an earlier version counts as old, for no common clock told it. */
export function storedWord({ saidAt }: StoredRef): Date {
  return new Date(saidAt ?? 0)
}

function isAmbiguous(ref: StoredRef, { commit, saidAt }: Word): boolean {
  if (ref.commit === null || ref.commit === commit) return false
  return Math.abs(storedWord(ref).getTime() - saidAt.getTime()) < ambiguous
}

function isSameWord(a: StoredRef, b: StoredRef): boolean {
  return a.commit === b.commit && a.saidAt === b.saidAt
}

/** Whether nothing is left of a ref but its name. */
export function isEmptyRef({ commit, claims }: StoredRef): boolean {
  return commit === null && claims === undefined
}

/** Takes a run's claim out of a ref, which goes where it consists of nothing else; resolves to whether it was still there. */
export async function breakRefClaim(
  storage: Storage,
  key: string,
  run: string,
  by: string,
  options: OperationOptions = {},
): Promise<boolean> {
  return await breakClaim({ ...options, storage, key, parse: parseRef, isEmpty: isEmptyRef, run, by })
}
