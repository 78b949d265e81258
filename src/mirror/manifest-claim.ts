import type { OperationOptions, Storage } from '../plugin/index.ts'
import { changeObject } from './change-object.ts'
import { ClaimLost } from './claim-lost.ts'
import { layoutVersion } from './layout.ts'
import type { Lease } from './lease.ts'
import { type Manifest, parseManifest } from './manifest.ts'

export interface ClaimOptions extends OperationOptions {
  readonly storage: Storage
  readonly lease: Lease
  /** `mirror`, `pull`, … */
  readonly kind: string
  readonly key: string
  /** What the manifest is where there is none yet. */
  readonly blank: Manifest
}

/**
 * A run's claim on a manifest: the names that it is about to put there. It stands in the manifest
 * itself, and the commit demands it, so that whoever takes it out keeps the run from committing.
 */
export class ManifestClaim {
  readonly #options: ClaimOptions
  #isStanding = false

  constructor(options: ClaimOptions) {
    this.#options = options
  }

  /** Claims names in place of those claimed before. Rejects with a {@link ClaimLost}. */
  async claim(names: ReadonlySet<string>): Promise<void> {
    const { lease, kind, key, blank } = this.#options
    await this.#change((current) => {
      if (this.#isStanding && current?.claims?.[lease.id] === undefined) throw new ClaimLost(key)
      const manifest = current ?? { ...blank, pending: true as const }
      const claim = { lease: lease.id, kind, blobs: [...names] }
      return { ...manifest, layout: layoutVersion, claims: { ...manifest.claims, [lease.id]: claim } }
    })
    this.#isStanding = true
  }

  /** Makes the manifest what `update` says, visible, and takes the claim out. Rejects with a {@link ClaimLost}. */
  async commit(update: (current: Manifest) => Manifest): Promise<Manifest> {
    const { lease, key } = this.#options
    const committed = await this.#change((current) => {
      if (current?.claims?.[lease.id] === undefined) throw new ClaimLost(key)
      return withoutClaim(update({ ...current, pending: undefined }), lease.id)
    })
    this.#isStanding = false
    return committed
  }

  /** Takes the claim out of a manifest that is not committed. Only tidy: with its lease gone it is dead anyway. */
  async release(): Promise<void> {
    if (!this.#isStanding) return
    await breakManifestClaim(this.#options.storage, this.#options.key, this.#options.lease.id, this.#options.lease.id)
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

/** The manifest less a run's claim. */
export function withoutClaim(manifest: Manifest, run: string): Manifest {
  const claims = Object.fromEntries(Object.entries(manifest.claims ?? {}).filter(([name]) => name !== run))
  return { ...manifest, claims: Object.keys(claims).length === 0 ? undefined : claims }
}

/** Takes a run's claim out of a manifest, which goes where it consists of nothing else. */
export async function breakManifestClaim(
  storage: Storage,
  key: string,
  run: string,
  by: string,
  options: OperationOptions = {},
): Promise<void> {
  await changeObject<Manifest>({
    ...options,
    storage,
    run: by,
    key,
    parse: parseManifest,
    decide: (current) => {
      if (current?.claims?.[run] === undefined) return 'keep'
      const without = withoutClaim(current, run)
      return without.pending === true && without.claims === undefined ? 'remove' : { write: without }
    },
  })
}
