import { measuredOf, throughput } from '../measure.ts'
import { type Bench, inTurns, own } from '../rounds.ts'
import type { Contender } from '../servers.ts'

/** Large files over several connections: GB/s, CPU seconds a GB, memory. */
export function measureWeights(bench: Bench, discard: string, weightsOf: Record<string, [Contender, string]>): void {
  const { lines, seconds } = bench
  for (const connections of [1, 4, 16, 64]) {
    const cpu = new Map<string, number[]>()
    const peak = new Map<string, number>()
    const run = (name: string) => {
      const [contender, path] = weightsOf[name] as [Contender, string]
      const result = throughput(discard, contender, path, connections, seconds)
      if (result.rate > 0) cpu.set(name, [...(cpu.get(name) ?? []), result.cpuPerGb])
      peak.set(name, result.memory)
      return result.rate
    }
    inTurns(bench, `weights, ${connections} connections`, 'GB/s', Object.keys(weightsOf), run, 'more')
    const ownCpu = measuredOf(cpu.get(own) ?? []).median
    for (const [contender, values] of cpu) {
      const measured = measuredOf(values)
      const section = `weights, CPU at ${connections} connections`
      const ratio = contender === own ? {} : { ratio: measured.median / ownCpu }
      lines.push({ section, contender, unit: 's/GB', measured, ...ratio })
    }
    if (connections !== 64) continue
    for (const [contender, value] of peak) {
      const section = 'weights, peak memory at 64 connections'
      lines.push({ section, contender, unit: 'MiB', measured: measuredOf([value]) })
    }
  }
}
