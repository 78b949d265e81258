import type { Storage } from '../plugin/index.ts'
import { Lease } from './lease.ts'

/** Milliseconds without a pull after which the lease is given up. */
const idlePeriod = 60_000

/**
 * Milliseconds after which new pulls begin another lease: a sweep spares what is younger than the
 * oldest one, and a busy server's would otherwise be as old as its process.
 */
const longestUse = 3_600_000

/** A lease while one pull uses it. */
export interface LeaseInUse extends AsyncDisposable {
  readonly lease: Lease
}

interface SharedLease {
  readonly lease: Promise<Lease>
  readonly begunAt: number
  users: number
}

/** One lease for everything that a worker pulls at a time, begun when it is needed. */
export class WorkerLease implements AsyncDisposable {
  readonly #storage: Storage
  #current: SharedLease | undefined
  #idle: NodeJS.Timeout | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  async use(): Promise<LeaseInUse> {
    clearTimeout(this.#idle)
    const shared = this.#usable() ?? this.#begin()
    shared.users++
    const lease = await shared.lease
    return { lease, [Symbol.asyncDispose]: () => this.#release(shared) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idle)
    const shared = this.#current
    this.#current = undefined
    if (shared?.users === 0) await end(shared)
  }

  #usable(): SharedLease | undefined {
    const shared = this.#current
    if (shared === undefined || performance.now() - shared.begunAt < longestUse) return shared
    this.#current = undefined
    if (shared.users === 0) void end(shared)
    return undefined
  }

  #begin(): SharedLease {
    const lease = Lease.begin(this.#storage, 'pull', 'pull-through')
    const shared = { lease, begunAt: performance.now(), users: 0 }
    this.#current = shared
    const whenLost = (begun: Lease): void =>
      begun.signal.addEventListener('abort', () => this.#forget(shared), { once: true })
    lease.then(whenLost, () => this.#forget(shared))
    return shared
  }

  #forget(shared: SharedLease): void {
    if (this.#current === shared) this.#current = undefined
  }

  async #release(shared: SharedLease): Promise<void> {
    if (--shared.users > 0) return
    if (this.#current !== shared) return await end(shared)
    this.#idle = setTimeout(() => void this[Symbol.asyncDispose](), idlePeriod)
    this.#idle.unref()
  }
}

/** Never rejects: left behind, the lease is dead in half an hour. */
async function end({ lease }: SharedLease): Promise<void> {
  await lease.then((begun) => begun[Symbol.asyncDispose]()).catch(() => undefined)
}
