/**
 * `npm run bench`: everything side by side, in turns, on one machine in one run; a table of medians
 * and ratios, and the same as JSON and SVG in bench/results/. `--quick` takes two minutes. `--before <revision>`
 * measures the server beside the one of another commit, and nothing else: what a redesign is held to.
 *
 * The load generator for bodies discards in the kernel, so it uses a fraction of what a server does:
 * its rate against nginx is the ceiling that the table shows.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { run, temporaryFolder } from '../test/support/processes.ts'
import { checkOut } from './former.ts'
import { formatLines, writeResults } from './report.ts'
import { type Bench, former, own } from './rounds.ts'
import { measureBucket } from './sections/bucket.ts'
import { measureMirror, measureStartUp, measureVerify } from './sections/commands.ts'
import { measureFallback } from './sections/fallback.ts'
import { measureFleet } from './sections/fleet.ts'
import { measureMetadata, measureMixed, measureWorkers } from './sections/metadata.ts'
import { measureWeights } from './sections/weights.ts'
import { bareNode, type Contender, mirrorface, nginx, olah, plainKoa, starlette } from './servers.ts'

const isQuick = process.argv.includes('--quick')
const { before } = parseArgs({ options: { quick: { type: 'boolean' }, before: { type: 'string' } } }).values
const weightsSize = isQuick ? 256 * 1024 ** 2 : 2 * 1024 ** 3
const shardSize = (isQuick ? 1 : 16) * 1024 ** 2
const cores = cpus().length
const weightsPath = '/mirror/org/weights/resolve/main/weights.safetensors'
const metadataPath = '/mirror/api/models/org/metadata'

await using folder = await temporaryFolder()
const bench: Bench = {
  isQuick,
  rounds: isQuick ? 1 : 3,
  seconds: isQuick ? 1 : 3,
  lines: [],
  target: join(folder.path, 'target'),
}
const discard = join(folder.path, 'discard')
execFileSync('cc', ['-O2', '-o', discard, new URL('discard.c', import.meta.url).pathname])
const hub = await startHub()
const directory = join(folder.path, 'storage')
await mirrorInto(directory, '.')
const blob = join(directory, 'blobs/sha256', hub.sha256.slice(0, 2), hub.sha256)
const plain = join(folder.path, 'plain')
const info = await layOut(plain)

if (before !== undefined) {
  await using checkout = await checkOut(before)
  await measureBeside(checkout.path)
  hub.stop()
  process.stdout.write(formatLines(bench.lines))
  process.exit()
}
await measureServers()
measureMirror(bench, hub.url)
measureVerify(bench, hub.url, blob, cores)
measureStartUp(bench, directory)
await measureBucket(bench, hub.url, blob)
hub.stop()
await writeResults(bench.lines, {
  cpu: cpus()[0]?.model ?? '',
  cores,
  node: process.version,
  quick: isQuick,
  rounds: bench.rounds,
  seconds: bench.seconds,
})

async function measureServers(): Promise<void> {
  const local = ['--local-directory', directory]
  await using files = await hubOfFiles()
  const proxied = `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0;`
  await using engine = await nginx(
    'nginx',
    `root ${plain}; location = /info { default_type application/json; } location /hub/ { proxy_pass ${hub.url}/; ${proxied} } location /files/ { proxy_pass ${files.url}/; ${proxied} }`,
  )
  await using server = await mirrorface(own, [...local, '--upstream-url', hub.url])
  await using quiet = await mirrorface('without access log', [
    ...local,
    '--upstream-url',
    hub.url,
    '--log-level',
    'warn',
  ])
  await using pair = await mirrorface('two workers', [...local, '--upstream-url', hub.url, '--workers', '2'])
  await using follower = await mirrorface(own, [...local, ...files.followed])
  await using python = await starlette(plain)
  await using koa = await plainKoa(join(plain, 'weights.bin'))
  await using memory = await bareNode(info)
  await using peer = await olah(folder.path, hub.url)
  await warmOlah(peer)

  const [weights, metadata] = [weightsPath, metadataPath]
  measureWeights(bench, discard, {
    [own]: [server, weights],
    nginx: [engine, '/weights.bin'],
    'Starlette FileResponse': [python, '/weights.bin'],
    'plain Koa': [koa, '/'],
    Olah: [peer, '/org/weights/resolve/main/weights.safetensors'],
  })
  measureMetadata(bench, {
    [own]: server.url + metadata,
    'MirrorFace without access log': quiet.url + metadata,
    'bare Node from memory': memory.url,
    'nginx static': `${engine.url}/info`,
    'Starlette, read per request': `${python.url}/info`,
    Olah: `${peer.url}/api/models/org/metadata`,
  })
  measureWorkers(bench, server.url + metadata, pair.url + metadata)
  await measureMixed(bench, discard, {
    [own]: { contender: server, weights, metadata: server.url + metadata },
    nginx: { contender: engine, weights: '/weights.bin', metadata: `${engine.url}/info` },
  })
  const question = '/org/fallback/raw/main/shard-1.json'
  measureFallback(
    bench,
    discard,
    {
      [own]: `${server.url}/mirror${question}`,
      'nginx proxy_pass': `${engine.url}/hub${question}`,
      'the Hub itself': hub.url + question,
    },
    {
      [own]: [follower, '/mirror/org/plain/resolve/main/w.txt'],
      'MirrorFace, following a redirect': [follower, '/mirror/org/large/resolve/main/w.safetensors'],
      'nginx proxy_pass': [engine, '/files/org/plain/resolve/main/w.txt'],
    },
  )
  await measureFleet(bench, { [own]: `${server.url}/mirror`, Olah: peer.url, 'the Hub itself': hub.url })
}

/** Has a checkout's own command mirror everything: a former one does not read what this one stores. */
async function mirrorInto(storage: string, checkout: string): Promise<void> {
  for (const name of ['org/weights', 'org/shards', 'org/metadata']) {
    const into = ['--local-directory', storage, '--upstream-url', hub.url]
    const { code, stderr } = await run(process.execPath, [join(checkout, 'bin/mirrorface.js'), 'mirror', name, ...into])
    if (code !== 0) throw new Error(stderr)
  }
  await using server = await mirrorface('offline', ['--local-directory', storage, '--offline'], checkout)
  for (const path of [weightsPath, metadataPath]) {
    const { status } = await fetch(server.url + path, { method: 'HEAD' })
    if (status !== 200) throw new Error(`${checkout} does not serve ${path} from what it has mirrored: ${status}`)
  }
}

/** The same work for this checkout's server and a former one's. */
async function measureBeside(checkout: string): Promise<void> {
  const formerDirectory = join(folder.path, 'former-storage')
  await mirrorInto(formerDirectory, checkout)
  const ours = ['--local-directory', directory]
  const theirs = ['--local-directory', formerDirectory]
  await using files = await hubOfFiles()
  await using now = await mirrorface(own, [...ours, '--upstream-url', hub.url])
  await using then = await mirrorface(former, [...theirs, '--upstream-url', hub.url], checkout)
  await using follower = await mirrorface(own, [...ours, ...files.followed])
  await using formerFollower = await mirrorface(former, [...theirs, ...files.followed], checkout)
  const urls = (path: string) => ({ [own]: now.url + path, [former]: then.url + path })
  measureWeights(bench, discard, { [own]: [now, weightsPath], [former]: [then, weightsPath] })
  measureMetadata(bench, urls(metadataPath))
  const passed = '/mirror/org/plain/resolve/main/w.txt'
  const followed = '/mirror/org/large/resolve/main/w.safetensors'
  measureFallback(bench, discard, urls('/mirror/org/fallback/raw/main/shard-1.json'), {
    [own]: [follower, passed],
    [former]: [formerFollower, passed],
    [`${own}, following a redirect`]: [follower, followed],
    [`${former}, following a redirect`]: [formerFollower, followed],
  })
}

/** A Hub that has the weights, as a small file and as a large one, on a CDN at another address, as in reality. */
async function hubOfFiles(): Promise<{ readonly url: string; readonly followed: string[] } & AsyncDisposable> {
  const cdn = await nginx('CDN', `root ${plain};`, { address: '127.0.0.2' })
  const size = `add_header X-Linked-Size ${weightsSize}; add_header X-Linked-ETag '"${hub.sha256}"';`
  const commit = 'add_header X-Repo-Commit 0123456789012345678901234567890123456789;'
  const redirect = `location /org/large/ { ${size} ${commit} return 302 ${cdn.url}/weights.bin; }`
  const regular = `location /org/plain/ { ${commit} rewrite ^ /weights.bin break; root ${plain}; }`
  const files = await nginx('files', `${redirect} ${regular}`)
  return {
    url: files.url,
    followed: ['--upstream-url', files.url, '--redirects', 'follow', '--follow-hosts', new URL(cdn.url).host],
    [Symbol.asyncDispose]: async () => {
      await files[Symbol.asyncDispose]()
      await cdn[Symbol.asyncDispose]()
    },
  }
}

/** What servers of plain files serve; returns the metadata's answer. */
async function layOut(place: string): Promise<Buffer> {
  await mkdir(place)
  await symlink(blob, join(place, 'weights.bin'))
  const answer = Buffer.from(await (await fetch(`${hub.url}/api/models/org/metadata`)).arrayBuffer())
  await writeFile(join(place, 'info'), answer)
  const commits = join(directory, 'repositories/models--org--metadata/commits')
  const [manifest = ''] = await readdir(commits)
  const content = JSON.parse(await readFile(join(commits, manifest), 'utf8'))
  await writeFile(join(place, 'manifest.json'), JSON.stringify({ ...content, info: JSON.parse(answer.toString()) }))
  return answer
}

async function startHub(): Promise<{ url: string; sha256: string; stop(): void }> {
  const script = new URL('hub.ts', import.meta.url).pathname
  const args = ['--conditions=mirrorface-source', script, String(weightsSize), String(shardSize)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout }))
    return { ...JSON.parse(line), stop: () => child.kill('SIGKILL') }
  throw new Error('the stand-in Hub does not start')
}

/** Olah serves fast only what it holds: it is asked for everything once. */
async function warmOlah(peer: Contender): Promise<void> {
  const shards = Array.from({ length: 20 }, (_, index) => `/org/shards/resolve/main/shard-${index}.safetensors`)
  for (const path of ['/org/weights/resolve/main/weights.safetensors', '/api/models/org/metadata', ...shards]) {
    const answer = await fetch(peer.url + path)
    for await (const _ of answer.body ?? []);
  }
}
