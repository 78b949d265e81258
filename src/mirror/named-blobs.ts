import pMap from 'p-map'
import { Failure } from '../hub/index.ts'
import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import type { Judge } from './judge.ts'
import { manifestKey, parseRepositoryKey, repositoriesPrefix } from './layout.ts'
import type { Lease } from './lease.ts'
import { blobNameOf, isDamage, type Manifest, parseManifest, parseRef } from './manifest.ts'
import { breakManifestClaim } from './manifest-claim.ts'
import { listObjects, writerOf } from './objects.ts'
import { breakRefClaim } from './ref-claim.ts'

/** Objects read at a time: on a bucket the time is in the round trips. */
const readsAtATime = 16

/**
 * Names of blobs that manifests and the claims on them need, gathered by reading each once, and
 * again only where it has changed. Names are only added: what was needed at any reading is spared.
 */
export class NamedBlobs {
  readonly names = new Set<string>()
  readonly #storage: Storage
  readonly #lease: Lease
  readonly #judge: Judge
  readonly #read = new Map<string, string>()

  constructor(storage: Storage, lease: Lease, judge: Judge) {
    this.#storage = storage
    this.#lease = lease
    this.#judge = judge
  }

  /**
   * Reads every manifest that is new or has changed. Claims of dead runs are taken out, as are
   * manifests and refs that consist of nothing else. Rejects where a manifest can't be read: its
   * blobs would look like orphans.
   */
  async gather(options: OperationOptions): Promise<void> {
    const refs: string[] = []
    await pMap(
      await listObjects(this.#storage, repositoriesPrefix, options),
      async ({ key, generation }) => {
        const object = parseRepositoryKey(key)
        if (object?.kind === 'ref') refs.push(key)
        if (object?.kind !== 'manifest') return // `verify` tells of what is neither
        if (generation === undefined || this.#read.get(key) !== generation) await this.#readManifest(key, options)
      },
      { concurrency: readsAtATime },
    )
    await pMap(refs, (key) => this.#tidyRef(key, options), { concurrency: readsAtATime })
  }

  async #readManifest(key: string, options: OperationOptions): Promise<void> {
    for (;;) {
      const found = await writerOf(this.#storage).load(key, options)
      if (found === undefined || this.#read.get(key) === found.generation) return
      const manifest = parseOrStop(() => parseManifest(key, found.bytes.toString()))
      const dead = await this.#deadClaims(manifest, options)
      if (dead.length === 0) {
        for (const name of neededNames(manifest)) this.names.add(name)
        this.#read.set(key, found.generation)
        return
      }
      // A run that has ended may have committed since its claim was read: so the manifest is read again.
      for (const run of dead) await breakManifestClaim(this.#storage, key, run, this.#lease.id, options)
    }
  }

  async #deadClaims({ claims }: Manifest, options: OperationOptions): Promise<string[]> {
    const dead: string[] = []
    for (const [run, { lease }] of Object.entries(claims ?? {}))
      if (await this.#judge.isDead(lease, options)) dead.push(run)
    return dead
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

/** What a manifest names to readers, and what is claimed on it. */
function neededNames({ pending, files, claims }: Manifest): string[] {
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
