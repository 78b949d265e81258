/**
 * `npm run simulate`: how long a fleet takes to load a model, from what the benchmark measured of
 * one worker (bench/results/latest.json) and the machine's limits that are given here. Prints the
 * tables of docs/scaling.md, or checks that they are there (`--check`).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { formatTable } from '../src/cli/format.ts'
import { type Fleet, simulateLoads } from './fleet-model.ts'
import type { Line } from './rounds.ts'

const document = new URL('../docs/scaling.md', import.meta.url)
const results = JSON.parse(readFileSync(new URL('results/latest.json', import.meta.url), 'utf8')) as { lines: Line[] }

function measured(section: string): number {
  const line = results.lines.find((one) => one.section === section && one.contender === 'MirrorFace')
  if (line?.measured === undefined) throw new Error(`bench/results/latest.json has no "${section}": npm run bench`)
  return line.measured.median
}

const worker = { gigabytes: measured('weights, 64 connections'), requests: measured('metadata, 32 connections') }

/** A 70B model in 16 bits: 140 GB in 30 shards; some 60 questions before the first of them. */
const model = { gigabytes: 140, questions: 60 }
/** Clients and pods with 25 Gbit/s networks; a client writes its disk at 2 GB/s. */
const network = 25 / 8
const clientRate = Math.min(network, 2)
/** What a bucket gives a region before it must be asked for more: 200 Gbit/s (Google's default quota of egress). */
const bucketRate = 200 / 8

const ways = {
  'stream, page cache or node disk': (pods: number): Fleet => ({
    pods,
    podRate: Math.min(network, 2 * worker.gigabytes),
    sharedRate: Infinity,
  }),
  'stream, each pod from the bucket': (pods: number): Fleet => ({
    pods,
    podRate: Math.min(network / 2, 2 * worker.gigabytes),
    sharedRate: bucketRate,
  }),
  redirect: (): Fleet => ({ pods: 1, podRate: Infinity, sharedRate: bucketRate }),
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`
}

function table(): string {
  const rows: string[][] = []
  for (const clients of [10, 100, 1000]) {
    for (const [way, fleetOf] of Object.entries(ways)) {
      for (const pods of way === 'redirect' ? [2] : [2, 8, 32]) {
        const fleet = fleetOf(pods)
        const { median, last } = simulateLoads(fleet, { clients, gigabytes: model.gigabytes, clientRate, over: 10 })
        const asking = (clients * model.questions) / (pods * 2 * worker.requests)
        rows.push([String(clients), way, String(pods), minutes(median), minutes(last), `${asking.toFixed(2)} s`])
      }
    }
  }
  const heads = ['clients', 'bytes by', 'pods', 'median load', 'last load', 'questions alone']
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

const inputs = formatTable(
  ['', ''],
  [
    ['a worker, bytes', `${worker.gigabytes.toFixed(1)} GB/s`],
    ['a worker, questions', `${worker.requests.toFixed(0)} requests/s`],
    ['a pod', `2 workers, a network of ${network} GB/s`],
    ['a client', `${clientRate} GB/s`],
    ['a bucket', `${bucketRate} GB/s`],
    ['the model', `${model.gigabytes} GB, ${model.questions} questions`],
  ],
)
const block = `<!-- simulation -->\n\`\`\`\n${inputs.replaceAll(/ +$/gm, '').trim()}\n\`\`\`\n\n${table()}\n<!-- /simulation -->`
const before = readFileSync(document, 'utf8')
const after = before.replace(/<!-- simulation -->[\s\S]*<!-- \/simulation -->/, () => block)
if (!process.argv.includes('--check')) {
  writeFileSync(document, after)
  process.stdout.write(`${block}\n`)
} else if (before !== after) {
  process.stderr.write('docs/scaling.md is not what bench/results/latest.json gives: npm run simulate\n')
  process.exitCode = 1
}
