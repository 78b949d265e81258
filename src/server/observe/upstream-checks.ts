import { describeError } from '../../hub/index.ts'
import type { Upstream } from '../../plugin/index.ts'

/** Milliseconds between two looks. */
const interval = 1_000

/**
 * Asks upstreams that are left alone after failures whether they are back, so that no client's
 * request has to find out. How soon one may be asked is its own breaker's to say.
 */
export class UpstreamChecks {
  readonly #upstreams: readonly Upstream[]
  readonly #asking = new Set<Upstream>()
  readonly #reasons = new Map<Upstream, string>()

  constructor(upstreams: readonly Upstream[]) {
    this.#upstreams = upstreams
  }

  /** Looks now and then, until it is disposed of. */
  start(): Disposable {
    const timer = setInterval(() => this.#look(), interval)
    timer.unref()
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  /** Why an upstream is left alone, as far as that was found out; `undefined`: it is asked. */
  reasonOf(upstream: Upstream): string | undefined {
    return upstream.state === 'open' ? (this.#reasons.get(upstream) ?? 'requests to it failed') : undefined
  }

  #look(): void {
    for (const upstream of this.#upstreams) {
      if (upstream.state !== 'open' || this.#asking.has(upstream)) continue
      this.#asking.add(upstream)
      upstream.ready().then(
        () => this.#asking.delete(upstream),
        (error: unknown) => {
          this.#asking.delete(upstream)
          this.#reasons.set(upstream, describeError(error))
        },
      )
    }
  }
}
