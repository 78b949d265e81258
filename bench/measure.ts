import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type Contender, cpuSeconds, peakMemory } from './servers.ts'

/** What a series of runs gave: the median, and from where to where. */
export interface Measured {
  readonly median: number
  readonly least: number
  readonly most: number
}

export function measuredOf(values: readonly number[]): Measured {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 }
}

export interface Throughput {
  /** GB/s. */
  readonly rate: number
  readonly cpuPerGb: number
  /** MiB. */
  readonly memory: number
}

export function throughput(
  discard: string,
  contender: Contender,
  path: string,
  connections: number,
  seconds: number,
): Throughput {
  const { hostname, port } = new URL(contender.url)
  const before = cpuSeconds(contender.pid)
  const said = execFileSync(discard, [hostname, port, path, String(connections), String(seconds)], { encoding: 'utf8' })
  const [bytes = 0, took = 1] = said.trim().split(' ').map(Number)
  const gigabytes = bytes / 1e9
  return {
    rate: gigabytes / took,
    cpuPerGb: (cpuSeconds(contender.pid) - before) / gigabytes,
    memory: peakMemory(contender.pid),
  }
}

export interface Latency {
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** wrk: one thread, so that the server has the other core. */
export function latency(url: string, connections: number, seconds: number): Latency {
  const { stdout, stderr } = spawnSync('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', url], {
    encoding: 'utf8',
  })
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]
  if (rate === undefined || /Non-2xx/.test(stdout)) throw new Error(`wrk on ${url}: ${stdout}${stderr}`)
  return { requestsPerSecond: Number(rate), p50: percentile(stdout, 50), p99: percentile(stdout, 99) }
}

function percentile(output: string, percent: number): number {
  const [, value = '0', unit = 'ms'] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(output) ?? []
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1)
}

const autocannon = fileURLToPath(new URL('../node_modules/autocannon/autocannon.js', import.meta.url))

/**
 * The p99 of metadata, in milliseconds, at a steady rate while downloads run. Each answer's time
 * counts from when its request was due, so that a pause is not hidden by the requests that it held up.
 */
export async function atRate(
  discard: string,
  contender: Contender,
  weights: string,
  metadata: string,
  { rate, downloads, seconds }: { rate: number; downloads: number; seconds: number },
): Promise<number> {
  const { hostname, port } = new URL(contender.url)
  const load = spawn(discard, [hostname, port, weights, String(downloads), String(seconds + 1)], { stdio: 'ignore' })
  const args = [autocannon, '-c', '16', '-R', String(rate), '-d', String(seconds), '--json', metadata]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(load, 'close')
  const result = JSON.parse(await text(child.stdout))
  await ended
  return result.latency.p99
}

/** GB/s at which openssl hashes a file. */
export function hashRate(path: string): number {
  const { size } = statSync(path)
  return size / 1e9 / timed('openssl', ['dgst', '-sha256', path])
}

/** Seconds that a command takes. It must succeed. */
export function timed(command: string, args: readonly string[], env: Record<string, string> = {}): number {
  const started = performance.now()
  const { status, stderr } = spawnSync(command, [...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return (performance.now() - started) / 1000
}
