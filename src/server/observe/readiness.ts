import { describeError } from '../../hub/index.ts'
import type { Storage, Upstream, UpstreamState } from '../../plugin/index.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { UpstreamChecks } from './upstream-checks.ts'

export interface StorageHealth {
  readonly storage: string
  readonly ready: boolean
  /** One sentence, without secrets. */
  readonly reason?: string
}

export interface UpstreamHealth {
  readonly upstream: string
  /** Absent: it has no breaker. */
  readonly state?: UpstreamState
  readonly reason?: string
}

export interface ReadinessParts {
  readonly storages: readonly Storage[]
  readonly upstreams: readonly Upstream[]
  readonly upstreamChecks: UpstreamChecks
  readonly metrics: Metrics
  /** Takes secrets out of what whoever asks is told. */
  redact(text: string): string
}

/** Milliseconds after which a storage is asked to say what it waits for: probes themselves wait some seconds. */
const patience = 1_200
/** Milliseconds that it has for that. */
const lastWord = 200

/** Whether what this server stands on can be asked now, and why not. Answers within two seconds. */
export class Readiness {
  readonly #parts: ReadinessParts
  /** One check of a storage at a time: probes come again, whether the last was answered or not. */
  readonly #checking = new Map<Storage, Promise<void>>()

  constructor(parts: ReadinessParts) {
    this.#parts = parts
  }

  async storages(): Promise<StorageHealth[]> {
    return await Promise.all(this.#parts.storages.map(async (storage) => await this.#healthOf(storage)))
  }

  /** What is known; nobody is asked. */
  upstreams(): UpstreamHealth[] {
    const { upstreams, upstreamChecks, redact } = this.#parts
    return upstreams.map((upstream) => {
      const { state, traits } = upstream
      const reason = upstreamChecks.reasonOf(upstream)
      return {
        upstream: traits.name,
        ...(state !== undefined && { state }),
        ...(reason !== undefined && { reason: redact(`upstream ${traits.name} is left alone: ${reason}`) }),
      }
    })
  }

  async #healthOf(storage: Storage): Promise<StorageHealth> {
    const { metrics, redact } = this.#parts
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new Error(`storage ${storage.name} has not answered for ${patience / 1000} s`)),
      patience + lastWord,
    )
    try {
      await Promise.race([this.#check(storage), late.promise])
      metrics.storageReady(storage.name, true)
      return { storage: storage.name, ready: true }
    } catch (error) {
      metrics.storageReady(storage.name, false)
      return { storage: storage.name, ready: false, reason: redact(describeError(error)) }
    } finally {
      clearTimeout(timer)
    }
  }

  #check(storage: Storage): Promise<void> {
    let check = this.#checking.get(storage)
    if (check === undefined) {
      check = storage.ready({ signal: AbortSignal.timeout(patience) }).finally(() => this.#checking.delete(storage))
      check.catch(() => undefined) // whoever waits learns of it, and nobody may wait any more
      this.#checking.set(storage, check)
    }
    return check
  }
}

/** What `/ready` says. */
export interface Answerable {
  /** `degraded`: something is down, and requests are answered all the same. */
  readonly status: 'ready' | 'degraded' | 'not ready' | 'stopping'
  /** Whether requests should come here. */
  readonly canAnswer: boolean
  /** Names of the storages that are down. */
  readonly down: readonly string[]
}

/**
 * Whether requests can be answered. With an upstream that answers they can while a storage is down, by passing them on:
 * a bucket's outage is everybody's, and must not take every replica out of service.
 */
export function answerable(
  accepting: boolean,
  storages: readonly StorageHealth[],
  upstreams: readonly UpstreamHealth[],
): Answerable {
  const down = storages.filter(({ ready }) => !ready).map(({ storage }) => storage)
  if (!accepting) return { status: 'stopping', canAnswer: false, down }
  if (down.length === 0) return { status: 'ready', canAnswer: true, down }
  const isPassedOn = upstreams.some(({ state }) => state !== 'open')
  return isPassedOn ? { status: 'degraded', canAnswer: true, down } : { status: 'not ready', canAnswer: false, down }
}
