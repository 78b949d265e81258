import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment } from '../../test/support/processes.ts'
import { measuredOf } from '../measure.ts'
import { type Bench, own } from '../rounds.ts'

const clients = 8

/** `snapshot_download` of a sharded model by eight clients at once: seconds until the last has it. */
export async function measureFleet(bench: Bench, endpoints: Record<string, string>): Promise<void> {
  const values = new Map(Object.keys(endpoints).map((name) => [name, [] as number[]]))
  for (let round = 0; round < Math.min(3, bench.rounds); round++) {
    for (const [name, endpoint] of Object.entries(endpoints)) {
      const started = performance.now()
      const codes = await Promise.all(Array.from({ length: clients }, (_, index) => load(bench, endpoint, index)))
      const failed = codes.some((code) => code !== 0)
      if (!failed) values.get(name)?.push((performance.now() - started) / 1000)
    }
  }
  const section = `snapshot_download of 20 shards by ${clients} clients`
  const ownMedian = measuredOf(values.get(own) ?? []).median
  for (const [contender, measured] of values) {
    const result = measured.length === 0 ? {} : { measured: measuredOf(measured) }
    const ratio = contender === own || measured.length === 0 ? {} : { ratio: measuredOf(measured).median / ownMedian }
    bench.lines.push({ section, contender, unit: 's', ...result, ...ratio })
  }
  process.stderr.write(`${section} done\n`)
}

async function load({ target }: Bench, endpoint: string, index: number): Promise<number> {
  const home = join(target, `client-${index}`)
  const code = 'from huggingface_hub import snapshot_download; snapshot_download("org/shards")'
  const child = spawn('.cache/python/hub-2/bin/python', ['-c', code], {
    env: cleanEnvironment({
      HF_ENDPOINT: endpoint,
      HF_HOME: home,
      HF_HUB_DISABLE_XET: '1',
      HF_HUB_DISABLE_PROGRESS_BARS: '1',
    }),
    stdio: 'ignore',
  })
  const [exit] = await once(child, 'close')
  await rm(home, { recursive: true, force: true })
  return exit ?? 1
}
