import { latency, throughput } from '../measure.ts'
import { type Bench, inTurns } from '../rounds.ts'
import type { Contender } from '../servers.ts'

/** What is not mirrored: the time that a question takes, and bodies, passed on and followed. */
export function measureFallback(
  bench: Bench,
  discard: string,
  questions: Record<string, string>,
  bodies: Record<string, [Contender, string]>,
): void {
  const ask = (name: string) => latency(questions[name] ?? '', 1, bench.seconds).p50
  inTurns(bench, 'fallback, one connection, p50', 'ms', Object.keys(questions), ask, 'less')
  for (const connections of [1, 4]) {
    const run = (name: string) => {
      const [contender, path] = bodies[name] as [Contender, string]
      return throughput(discard, contender, path, connections, bench.seconds).rate
    }
    inTurns(bench, `fallback bodies, ${connections} connections`, 'GB/s', Object.keys(bodies), run, 'more')
  }
}
