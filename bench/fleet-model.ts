/** What serves: rates in GB/s. */
export interface Fleet {
  readonly pods: number
  readonly podRate: number
  /** What lies behind all pods: a bucket. */
  readonly sharedRate: number
}

export interface Demand {
  readonly clients: number
  /** What each loads. */
  readonly gigabytes: number
  readonly clientRate: number
  /** Seconds over which the clients start, evenly. */
  readonly over: number
}

interface Load {
  readonly startsAt: number
  readonly pod: number
  left: number
}

/**
 * Loads as flows: at any moment those on a pod share it alike, all share what lies behind, and none
 * is faster than its client. From event to event, an event being a start or an end; seconds.
 */
export function simulateLoads(fleet: Fleet, demand: Demand): { median: number; last: number } {
  const waiting: Load[] = Array.from({ length: demand.clients }, (_, index) => ({
    startsAt: (index * demand.over) / demand.clients,
    pod: index % fleet.pods,
    left: demand.gigabytes,
  }))
  const running = new Set<Load>()
  const times: number[] = []
  let now = 0
  while (waiting.length > 0 || running.size > 0) {
    const onPod = new Map<number, number>()
    for (const { pod } of running) onPod.set(pod, (onPod.get(pod) ?? 0) + 1)
    const shared = fleet.sharedRate / running.size
    const rateOf = ({ pod }: Load) => Math.min(demand.clientRate, fleet.podRate / (onPod.get(pod) ?? 1), shared)
    const nextEnd = Math.min(...[...running].map((load) => load.left / rateOf(load)))
    const nextStart = (waiting[0]?.startsAt ?? Number.POSITIVE_INFINITY) - now
    const step = Math.min(nextEnd, nextStart)
    for (const load of running) {
      load.left -= rateOf(load) * step
      if (load.left > 1e-9) continue
      running.delete(load)
      times.push(now + step - load.startsAt)
    }
    now += step
    while (waiting[0] !== undefined && waiting[0].startsAt <= now + 1e-9) running.add(waiting.shift() as Load)
  }
  const sorted = times.toSorted((a, b) => a - b)
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, last: sorted.at(-1) ?? 0 }
}
