import type { RefKind, Repository } from '../hub/index.ts'
import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject, randomId } from './change-object.ts'
import { blankManifest, withLatestInfo } from './compose-manifest.ts'
import { type DatedListing, saidAt } from './dated-listing.ts'
import { manifestKey, refKey } from './layout.ts'
import type { Lease } from './lease.ts'
import { MalformedObject, type Manifest, parseManifest } from './manifest.ts'
import { ignoreDamage, readRef } from './metadata.ts'
import { RefClaim, type Word } from './ref-claim.ts'

/** A ref that is at a commit. */
export interface PulledRef {
  readonly name: string
  readonly kind: RefKind
  /** When the source said so; absent: with the listing. Files stay, and are asked for more seldom than where a ref is. */
  readonly saidAt?: Date
}

export interface PulledRevision extends DatedListing {
  /** Where the listing comes from. */
  readonly origin: string
  readonly repository: Repository
  /** Refs that were at the commit when the listing was made. */
  readonly refs: readonly PulledRef[]
}

export interface OpenOptions extends OperationOptions {
  readonly storage: Storage
  readonly lease: Lease
}

/**
 * Makes sure that a commit has a manifest, for the journal of its pulled files, with what was said last about the
 * repository, and that its refs are
 * noted as `pulled`: where they were last seen, for the time when the Hub can't be asked. Resolves to
 * the manifest's birth.
 *
 * A ref is claimed before the manifest is written, and the manifest is written anew if a ref is to move
 * to it, though it stays the same: whoever removes it by a generation read before then starts over.
 */
export async function openRevision(revision: PulledRevision, options: OpenOptions): Promise<string> {
  const { storage, lease, signal } = options
  const { origin, repository, listing } = revision
  const claims: { readonly claim: RefClaim; readonly word: Word }[] = []
  for (const ref of revision.refs) {
    const claim = await claimRef(revision, ref, options)
    const word = { commit: listing.commit, saidAt: ref.saidAt ?? saidAt(revision) }
    if (claim !== undefined) claims.push({ claim, word })
  }
  const blank = { ...blankManifest(origin, repository, revision), pending: true as const }
  try {
    const manifest = await changeObject<Manifest>({
      ...(signal !== undefined && { signal }),
      storage,
      run: lease.id,
      key: manifestKey(repository, listing.commit),
      parse: parseManifest,
      decide: (current) => {
        const latest = current && withLatestInfo(current, blank)
        const isOpen = current?.birth !== undefined && current.pending !== true
        if (isOpen && latest === current && claims.length === 0) return 'keep'
        return { write: opened(latest ?? blank) }
      },
    })
    for (const { claim, word } of claims) await claim.commit(word, async () => word)
    return birthOf(manifest, repository, listing.commit)
  } catch (error) {
    await Promise.allSettled(claims.map(({ claim }) => claim.release()))
    throw error
  }
}

/** Visible, with a birth; one that readers did not see before holds nothing but what is pulled. */
function opened(manifest: Manifest): Manifest {
  const birth = manifest.birth ?? randomId()
  return manifest.pending === true ? { ...manifest, birth, pending: undefined, pulled: true } : { ...manifest, birth }
}

function birthOf(manifest: Manifest | undefined, repository: Repository, commit: string): string {
  if (manifest?.birth !== undefined) return manifest.birth
  throw new MalformedObject(manifestKey(repository, commit), 'it was written without a birth')
}

/** The ref, claimed, if it is to be noted; one that is mirrored on purpose is not moved by pulling. */
async function claimRef(
  { repository, listing: { commit } }: PulledRevision,
  { name, kind }: PulledRef,
  { storage, lease, signal }: OpenOptions,
): Promise<RefClaim | undefined> {
  const options = signal === undefined ? {} : { signal }
  const current = await readRef(storage, repository, name, options).catch(ignoreDamage)
  if (current !== undefined && (current.pulled !== true || current.commit === commit)) return undefined
  const key = refKey(repository, name)
  const claim = new RefClaim({ ...options, storage, lease, run: randomId(), key, kind, commit, pulled: true })
  await claim.claim()
  return claim
}
