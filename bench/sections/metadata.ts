import { atRate, latency, measuredOf } from '../measure.ts'
import { type Bench, inTurns, own } from '../rounds.ts'
import type { Contender } from '../servers.ts'

/** Answers from memory: requests/s, and how long the slowest hundredth takes. */
export function measureMetadata(bench: Bench, urls: Record<string, string>): void {
  const p99 = new Map<string, number[]>()
  const run = (name: string) => {
    const result = latency(urls[name] ?? '', 32, bench.seconds)
    if (result.requestsPerSecond > 0) p99.set(name, [...(p99.get(name) ?? []), result.p99])
    return result.requestsPerSecond
  }
  inTurns(bench, 'metadata, 32 connections', 'requests/s', Object.keys(urls), run, 'more')
  for (const [contender, values] of p99) {
    const section = 'metadata, p99 at 32 connections'
    bench.lines.push({ section, contender, unit: 'ms', measured: measuredOf(values) })
  }
}

/** One worker beside two: it takes two free cores to show, and the load generator wants one as well. */
export function measureWorkers(bench: Bench, one: string, two: string): void {
  const urls: Record<string, string> = { [own]: two, 'one worker': one }
  const run = (name: string) => latency(urls[name] ?? '', 32, bench.seconds).requestsPerSecond
  inTurns(bench, 'metadata, two workers', 'requests/s', Object.keys(urls), run, 'more')
}

/** Metadata at a steady rate while downloads run. */
export async function measureMixed(
  bench: Bench,
  discard: string,
  contenders: Record<string, { contender: Contender; weights: string; metadata: string }>,
): Promise<void> {
  const seconds = Math.max(2, bench.seconds)
  for (const [name, { contender, weights, metadata }] of Object.entries(contenders)) {
    const values: number[] = []
    for (let round = 0; round < bench.rounds; round++)
      values.push(await atRate(discard, contender, weights, metadata, { rate: 1000, downloads: 16, seconds }))
    const section = 'metadata, p99 at 1,000 requests/s beside 16 downloads'
    bench.lines.push({ section, contender: name, unit: 'ms', measured: measuredOf(values) })
  }
}
