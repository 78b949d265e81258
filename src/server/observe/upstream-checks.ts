import type { Upstream } from '../../plugin/index.ts'

/** Milliseconds between two looks. */
const interval = 1_000

/**
 * Asks upstreams that are left alone after failures whether they are back, so that no client's
 * request has to find out. How soon one may be asked is its own breaker's to say.
 */
export function watchUpstreams(upstreams: readonly Upstream[]): Disposable {
  const asking = new Set<Upstream>()
  const timer = setInterval(() => {
    for (const upstream of upstreams) {
      if (upstream.state !== 'open' || asking.has(upstream)) continue
      asking.add(upstream)
      upstream.ready().then(
        () => asking.delete(upstream),
        () => asking.delete(upstream), // it is still away; its state says so
      )
    }
  }, interval)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
