import type { OperationOptions, Storage } from '../plugin/index.ts'
import type { BlobClaim } from './adopt.ts'
import { changeObject } from './change-object.ts'
import { ClaimLost } from './claim-lost.ts'
import { breakClaim, isEmptyObject, withoutClaim } from './claimed-object.ts'
import { layoutVersion } from './layout.ts'
import type { Lease } from './lease.ts'
import { type Manifest, parseManifest } from './manifest.ts'

export interface ClaimOptions extends OperationOptions {
  readonly storage: Storage
  readonly lease: Lease
  /** `mirror`, `compact`, … */
  readonly kind: string
  readonly key: string
  /** What the manifest is where there is none yet. */
  readonly blank: Manifest
  /** The manifest must have this birth: another is not what the run has read. */
  readonly birth?: string
}

/**
 * A run's claim on a manifest: the names that it is about to put there. It stands in the manifest
 * itself, and the commit demands it, so that whoever takes it out keeps the run from committing.
 */
export class ManifestClaim implements BlobClaim {
  readonly #options: ClaimOptions
  #isStanding = false

  constructor(options: ClaimOptions) {
    this.#options = options
  }

  /** Claims names in place of those claimed before. Rejects with a {@link ClaimLost}. */
  async claim(names: ReadonlySet<string>): Promise<'claimed'> {
    const { lease, kind, key, blank } = this.#options
    await this.#change((current) => {
      this.#assertBirth(current)
      if (this.#isStanding && current?.claims?.[lease.id] === undefined) throw new ClaimLost(key)
      const manifest = current ?? { ...blank, pending: true as const }
      const claim = { lease: lease.id, kind, blobs: [...names] }
      return { ...manifest, layout: layoutVersion, claims: { ...manifest.claims, [lease.id]: claim } }
    })
    this.#isStanding = true
    return 'claimed'
  }

  /** Makes the manifest what `update` says, visible, and takes the claim out. Rejects with a {@link ClaimLost}. */
  async commit(update: (current: Manifest) => Manifest): Promise<Manifest> {
    const { lease, key } = this.#options
    const committed = await this.#change((current) => {
      this.#assertBirth(current)
      if (current?.claims?.[lease.id] === undefined) throw new ClaimLost(key)
      return withoutClaim(update({ ...current, pending: undefined }), lease.id)
    })
    this.#isStanding = false
    return committed
  }

  /** Takes the claim out of a manifest that is not committed. Only tidy: with its lease gone it is dead anyway. */
  async release(): Promise<void> {
    if (!this.#isStanding) return
    const { storage, key, lease } = this.#options
    await breakClaim({ storage, key, parse: parseManifest, isEmpty: isEmptyObject, run: lease.id, by: lease.id })
  }

  #assertBirth(current: Manifest | undefined): void {
    const { birth, key } = this.#options
    if (birth !== undefined && current?.birth !== birth) throw new ClaimLost(key)
  }

  async #change(next: (current: Manifest | undefined) => Manifest): Promise<Manifest> {
    const { storage, lease, key, signal } = this.#options
    const changed = await changeObject<Manifest>({
      ...(signal !== undefined && { signal }),
      storage,
      run: lease.id,
      key,
      parse: parseManifest,
      decide: (current) => ({ write: next(current) }),
    })
    if (changed === undefined) throw new ClaimLost(key)
    return changed
  }
}
