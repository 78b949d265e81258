import { Conflict, type OperationOptions, type Storage } from '../plugin/index.ts'
import { leaseKey, leasesPrefix, parseLeaseKey } from './layout.ts'
import { type Lease, parseLease, type StoredLease } from './lease.ts'
import { MalformedObject } from './manifest.ts'
import { writerOf } from './objects.ts'
import { hasEnded } from './process-identity.ts'

/** Milliseconds without a renewal after which a run is taken for dead. */
const leaseLifetime = 30 * 60_000

/**
 * Decides which runs are dead. Age is the difference of two times that the storage itself assigned,
 * so that no machine's clock matters. A run that is judged dead loses its lease first, and learns of
 * it with its next renewal; one that has just renewed it keeps it.
 */
export class Judge {
  readonly #storage: Storage
  readonly #lease: Lease
  readonly #verdicts = new Map<string, Promise<boolean>>()

  /** `lease` is the judge's own, by which ages are told. */
  constructor(storage: Storage, lease: Lease) {
    this.#storage = storage
    this.#lease = lease
  }

  /** Whether the run with this lease is dead, or has ended. */
  async isDead(id: string, options: OperationOptions = {}): Promise<boolean> {
    if (id === this.#lease.id) return false
    const verdict = this.#verdicts.get(id) ?? this.#judge(id, options)
    this.#verdicts.set(id, verdict)
    return await verdict
  }

  /** When the oldest living run began, by the storage's clock; leases of dead ones go. */
  async oldestBeginning(options: OperationOptions = {}): Promise<Date> {
    let oldest = this.#lease.renewedAt
    for await (const { key, updatedAt } of this.#storage.list(leasesPrefix, options)) {
      const id = parseLeaseKey(key)
      if (id === undefined || (await this.isDead(id, options))) continue
      const began = await this.#beginning(key, options)
      if ((began ?? updatedAt) < oldest) oldest = began ?? updatedAt
    }
    return oldest
  }

  async #beginning(key: string, options: OperationOptions): Promise<Date | undefined> {
    const found = await writerOf(this.#storage).load(key, options)
    const began = found && parseIfSound(key, found.bytes)?.began
    return began === undefined ? undefined : new Date(began)
  }

  async #judge(id: string, options: OperationOptions): Promise<boolean> {
    const writer = writerOf(this.#storage)
    const found = await writer.load(leaseKey(id), options)
    if (found === undefined) return true
    const age = this.#lease.renewedAt.getTime() - found.updatedAt.getTime()
    if (age <= leaseLifetime && !hasOwnerEnded(leaseKey(id), found.bytes)) return false
    try {
      await writer.remove(leaseKey(id), { ...options, ifGeneration: found.generation })
      return true
    } catch (error) {
      if (error instanceof Conflict) return (await writer.load(leaseKey(id), options)) === undefined
      throw error
    }
  }
}

/** Told by the kernel where the owner ran on this machine: a crashed run need not be waited for. */
function hasOwnerEnded(key: string, bytes: Buffer): boolean {
  const owner = parseIfSound(key, bytes)?.process
  return owner !== undefined && hasEnded(owner)
}

function parseIfSound(key: string, bytes: Buffer): StoredLease | undefined {
  try {
    return parseLease(key, bytes.toString())
  } catch (error) {
    if (error instanceof MalformedObject) return undefined
    throw error
  }
}
