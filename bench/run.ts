/**
 * `npm run bench`: everything side by side, in turns, on one machine in one run; a table of medians
 * and ratios, and the same as JSON and SVG in bench/results/. `--quick` takes two minutes.
 *
 * The load generator for bodies discards in the kernel, so it uses a fraction of what a server does:
 * its own rate against nginx is the ceiling that the table shows.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cleanEnvironment, runMirrorFace, temporaryFolder } from '../test/support/processes.ts'
import { latency, type Measured, measuredOf, throughput, timed } from './measure.ts'
import { writeResults } from './report.ts'
import { bareNode, type Contender, mirrorface, nginx, olah, plainKoa, starlette } from './servers.ts'

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 1 : 5
const seconds = isQuick ? 1 : 3
const weightsSize = isQuick ? 256 * 1024 ** 2 : 2 * 1024 ** 3

/** One line of the result: what was measured of whom, and beside what it stands. */
export interface Line {
  readonly section: string
  readonly contender: string
  readonly unit: string
  readonly measured: Measured
  /** Of MirrorFace's median to this contender's; above 1 MirrorFace is better. */
  readonly ratio?: number
}

const lines: Line[] = []

/** Runs the contenders in turns, so that whatever the machine does meets all alike. */
function inTurns(
  section: string,
  unit: string,
  contenders: readonly string[],
  run: (contender: string) => number,
  isBetter: 'more' | 'less',
): void {
  const values = new Map(contenders.map((name) => [name, [] as number[]]))
  for (let round = 0; round < rounds; round++) for (const name of contenders) values.get(name)?.push(run(name))
  const own = measuredOf(values.get('MirrorFace') ?? [])
  for (const [contender, measured] of values) {
    const result = measuredOf(measured)
    const ratio = isBetter === 'more' ? own.median / result.median : result.median / own.median
    lines.push({ section, contender, unit, measured: result, ...(contender !== 'MirrorFace' && { ratio }) })
  }
  process.stderr.write(`${section} done\n`)
}

await using folder = await temporaryFolder()
const discard = join(folder.path, 'discard')
execFileSync('cc', ['-O2', '-o', discard, new URL('discard.c', import.meta.url).pathname])
const hub = await startHub(weightsSize)
const directory = join(folder.path, 'storage')
const settings = { MIRRORFACE_LOCAL_DIRECTORY: directory, MIRRORFACE_UPSTREAM_URL: hub.url }
for (const name of ['org/weights', 'org/metadata']) {
  const { code, stderr } = await runMirrorFace(['mirror', name], settings)
  if (code !== 0) throw new Error(stderr)
}
const plain = join(folder.path, 'plain')
await mkdir(plain)
const blob = join(directory, 'blobs/sha256', hub.sha256.slice(0, 2), hub.sha256)
await symlink(blob, join(plain, 'weights.bin'))
const info = Buffer.from(await (await fetch(`${hub.url}/api/models/org/metadata`)).arrayBuffer())
await writeFile(join(plain, 'info'), info)
const [manifest] = (await readdir(join(directory, 'repositories/models--org--metadata/commits'))).map((name) =>
  join(directory, 'repositories/models--org--metadata/commits', name),
)
await writeFile(
  join(plain, 'manifest.json'),
  JSON.stringify({ ...JSON.parse(await readFile(manifest ?? '', 'utf8')), info: JSON.parse(info.toString()) }),
)

{
  await using own = await mirrorface('MirrorFace', ['--local-directory', directory, '--upstream-url', hub.url])
  await using engine = await nginx(
    'nginx',
    `root ${plain}; location = /info { default_type application/json; } location /hub/ { proxy_pass ${hub.url}/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }`,
  )
  await using python = await starlette(plain)
  await using koa = await plainKoa(join(plain, 'weights.bin'))
  await using memory = await bareNode(info)
  await using peer = await olah(folder.path, hub.url)
  const own_ = '/mirror/org/weights/resolve/main/weights.safetensors'
  const weightsOf: Record<string, [Contender, string]> = {
    MirrorFace: [own, own_],
    nginx: [engine, '/weights.bin'],
    'Starlette FileResponse': [python, '/weights.bin'],
    'plain Koa': [koa, '/'],
    Olah: [peer, '/org/weights/resolve/main/weights.safetensors'],
  }
  await warmOlah(peer)
  for (const connections of [1, 4, 16, 64]) {
    const cpu = new Map<string, number[]>()
    const peak = new Map<string, number>()
    const run = (name: string) => {
      const [contender, path] = weightsOf[name] as [Contender, string]
      const result = throughput(discard, contender, path, connections, seconds)
      cpu.set(name, [...(cpu.get(name) ?? []), result.cpuPerGb])
      peak.set(name, result.memory)
      return result.rate
    }
    inTurns(`weights, ${connections} connections`, 'GB/s', Object.keys(weightsOf), run, 'more')
    if (connections === 4)
      for (const [contender, values] of cpu)
        lines.push({
          section: 'weights, CPU at 4 connections',
          contender,
          unit: 's/GB',
          measured: measuredOf(values),
          ...(contender !== 'MirrorFace' && {
            ratio: measuredOf(values).median / measuredOf(cpu.get('MirrorFace') ?? []).median,
          }),
        })
    if (connections === 64)
      for (const [contender, value] of peak)
        lines.push({
          section: 'weights, peak memory at 64 connections',
          contender,
          unit: 'MiB',
          measured: measuredOf([value]),
        })
  }

  const metadataOf: Record<string, string> = {
    MirrorFace: `${own.url}/mirror/api/models/org/metadata`,
    'bare Node from memory': `${memory.url}/`,
    'nginx static': `${engine.url}/info`,
    'Starlette, read per request': `${python.url}/info`,
    Olah: `${peer.url}/api/models/org/metadata`,
  }
  const p99 = new Map<string, number[]>()
  inTurns(
    'metadata, 32 connections',
    'requests/s',
    Object.keys(metadataOf),
    (name) => {
      const result = latency(metadataOf[name] ?? '', 32, seconds)
      p99.set(name, [...(p99.get(name) ?? []), result.p99])
      return result.requestsPerSecond
    },
    'more',
  )
  for (const [contender, values] of p99)
    lines.push({ section: 'metadata, p99 at 32 connections', contender, unit: 'ms', measured: measuredOf(values) })

  const through: Record<string, string> = {
    MirrorFace: `${own.url}/mirror/org/fallback/raw/main/shard-1.json`,
    'nginx proxy_pass': `${engine.url}/hub/org/fallback/raw/main/shard-1.json`,
    'the Hub itself': `${hub.url}/org/fallback/raw/main/shard-1.json`,
  }
  inTurns(
    'fallback, one connection, p50',
    'ms',
    Object.keys(through),
    (name) => latency(through[name] ?? '', 1, seconds).p50,
    'less',
  )
}

const target = join(folder.path, 'target')
timedInTurns('mirror of one large file', {
  MirrorFace: () =>
    timed(process.execPath, ['bin/mirrorface.js', 'mirror', 'org/weights'], {
      ...plainEnvironment(),
      MIRRORFACE_LOCAL_DIRECTORY: target,
      MIRRORFACE_UPSTREAM_URL: hub.url,
    }),
  'aria2c -x8': () =>
    timed('aria2c', [
      '-q',
      '-x8',
      '-s8',
      '-d',
      target,
      '-o',
      'w',
      '--allow-overwrite=true',
      `${hub.url}/org/weights/resolve/main/weights.safetensors`,
    ]),
  'hf download': () =>
    timed('.cache/python/hub-2/bin/hf', ['download', 'org/weights', '--local-dir', target], {
      ...plainEnvironment(),
      HF_ENDPOINT: hub.url,
      HF_HUB_DISABLE_XET: '1',
      HF_HOME: join(target, 'home'),
    }),
  curl: () =>
    timed('curl', ['-sL', '-o', join(target, 'w'), `${hub.url}/org/weights/resolve/main/weights.safetensors`]),
})
timedInTurns('verify, full', {
  MirrorFace: () =>
    timed(
      process.execPath,
      ['bin/mirrorface.js', 'verify', 'org/weights', '--local-directory', directory],
      plainEnvironment(),
    ),
  'openssl dgst -sha256': () => timed('openssl', ['dgst', '-sha256', blob]),
})
timedInTurns('start-up', {
  MirrorFace: () => timed(process.execPath, ['bin/mirrorface.js', '--help'], plainEnvironment()),
  'node -e 0': () => timed(process.execPath, ['-e', '0']),
})
hub.stop()
await writeResults(lines, {
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  node: process.version,
  quick: isQuick,
  rounds,
  seconds,
})

function plainEnvironment(): Record<string, string> {
  return cleanEnvironment() as Record<string, string>
}

/** Commands in turns, each into an empty folder. */
function timedInTurns(section: string, runs: Record<string, () => number>): void {
  const run = (name: string) => {
    rmSync(target, { recursive: true, force: true })
    mkdirSync(target)
    return runs[name]?.() ?? 0
  }
  inTurns(section, 's', Object.keys(runs), run, 'less')
}

async function startHub(size: number): Promise<{ url: string; sha256: string; stop(): void }> {
  const args = ['--conditions=mirrorface-source', new URL('hub.ts', import.meta.url).pathname, String(size)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout }))
    return { ...JSON.parse(line), stop: () => child.kill('SIGKILL') }
  throw new Error('the stand-in Hub does not start')
}

/** Olah serves fast only what it holds: it is asked for everything once. */
async function warmOlah(peer: Contender): Promise<void> {
  for (const path of ['/org/weights/resolve/main/weights.safetensors', '/api/models/org/metadata']) {
    const answer = await fetch(peer.url + path)
    for await (const _ of answer.body ?? []);
  }
}
