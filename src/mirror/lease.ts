import { hostname } from 'node:os'
import { z } from 'zod'
import { Conflict, type ObjectStat, type Storage } from '../plugin/index.ts'
import { randomId } from './change-object.ts'
import { ClaimLost } from './claim-lost.ts'
import { leaseKey } from './layout.ts'
import { parseObject } from './manifest.ts'
import { writeJson, writerOf } from './objects.ts'
import { ownIdentity } from './process-identity.ts'

/** Milliseconds between two renewals. */
const renewalInterval = 5 * 60_000

const leaseSchema = z.looseObject({
  rev: z.string(),
  /** What holds it: `mirror`, `sweep`, … */
  kind: z.string(),
  /** For people. */
  host: z.string(),
  /** Absent where the system does not tell. */
  process: z.looseObject({ space: z.string(), pid: z.int(), startedAt: z.string() }).optional(),
  startedAt: z.iso.datetime(),
  /** Seconds between renewals. */
  every: z.number(),
  /** For people. */
  doing: z.string(),
  /** When the storage took the first version; absent in that one. */
  began: z.iso.datetime().optional(),
})
/** A lease as it is stored. */
export type StoredLease = z.infer<typeof leaseSchema>

export function parseLease(key: string, text: string): StoredLease {
  return parseObject(leaseSchema, key, text)
}

/**
 * Shows others that a run is alive. It is a hint only: whoever judges a run dead takes its claims
 * away, and then the run can't commit; no safety rests on who is right. Disposing of it ends it.
 */
export class Lease implements AsyncDisposable {
  readonly id: string
  /** Aborted with a {@link ClaimLost} once somebody has judged the run dead. */
  readonly signal: AbortSignal
  /** The storage's time of the last renewal. */
  renewedAt: Date
  readonly #storage: Storage
  readonly #value: StoredLease
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout
  #generation: string

  private constructor(storage: Storage, id: string, value: StoredLease, generation: string, renewedAt: Date) {
    this.id = id
    this.renewedAt = renewedAt
    this.signal = this.#lost.signal
    this.#storage = storage
    this.#value = { ...value, began: renewedAt.toISOString() }
    this.#generation = generation
    this.#timer = setInterval(() => void this.#renew(), renewalInterval)
    this.#timer.unref?.()
  }

  /** With an `id` of its own it rejects with a {@link Conflict} where somebody holds that. */
  static async begin(storage: Storage, kind: string, doing: string, id: string = randomId()): Promise<Lease> {
    const process = ownIdentity()
    const value: StoredLease = {
      rev: randomId(),
      kind,
      host: hostname(),
      ...(process !== undefined && { process: { ...process } }),
      startedAt: new Date().toISOString(),
      every: renewalInterval / 1000,
      doing,
    }
    const key = leaseKey(id)
    const written = await writeJson(writerOf(storage), key, value, { ifAbsent: true }).catch(async (error: unknown) => {
      // Where only the response of an attempt was lost, it is there, and one's own.
      const found = error instanceof Conflict ? await writerOf(storage).load(key) : undefined
      if (found !== undefined && parseLease(key, found.bytes.toString()).rev === value.rev) return found
      throw error
    })
    return new Lease(storage, id, value, written.generation ?? '', written.updatedAt)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    // Left behind, it is dead in half an hour.
    await writerOf(this.#storage)
      .remove(leaseKey(this.id), { ifGeneration: this.#generation })
      .catch(() => undefined)
  }

  async #renew(): Promise<void> {
    const value = { ...this.#value, rev: randomId() }
    try {
      const condition = { ifGeneration: this.#generation }
      this.#note(await writeJson(writerOf(this.#storage), leaseKey(this.id), value, condition))
    } catch (error) {
      // Any other failure may pass; if it lasts, the claim is lost and the commit says so.
      if (error instanceof Conflict) await this.#lookAgain(error).catch(() => undefined)
    }
  }

  /** Others only remove it: what is there is a renewal of its own whose response was lost, or came late. */
  async #lookAgain(conflict: Conflict): Promise<void> {
    const found = await writerOf(this.#storage).load(leaseKey(this.id))
    if (found === undefined) this.#lost.abort(new ClaimLost(leaseKey(this.id), { cause: conflict }))
    else this.#note(found)
  }

  #note({ generation, updatedAt }: ObjectStat): void {
    this.#generation = generation ?? ''
    this.renewedAt = updatedAt
  }
}
