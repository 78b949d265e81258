import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/emulator.ts'
import { startNginx } from '../test/support/nginx.ts'

/** Something that serves, with the process whose CPU and memory count. */
export interface Contender extends AsyncDisposable {
  readonly name: string
  readonly url: string
  readonly pid: number
}

const python = fileURLToPath(new URL('../.cache/python/bench/bin/python', import.meta.url))
const here = fileURLToPath(new URL('.', import.meta.url))

async function listening(url: string, child: ChildProcess, name: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const answered = await fetch(url, { method: 'HEAD' }).then(
      () => true,
      () => false,
    )
    if (answered) return
    if (child.exitCode !== null) throw new Error(`${name} ended`)
    await delay(100)
  }
  throw new Error(`${name} does not start`)
}

async function ofProcess(
  name: string,
  command: string,
  args: string[],
  url: string,
  env: Record<string, string> = {},
  output: number | 'ignore' = 'ignore',
): Promise<Contender> {
  const child = spawn(command, args, { stdio: ['ignore', output, 'ignore'], env: { ...process.env, ...env } })
  await listening(url, child, name)
  return {
    name,
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    },
  }
}

/**
 * MirrorFace, as this checkout or another one built it. Its log goes to a file: nobody here would read it from a pipe
 * while something is measured.
 */
export async function mirrorface(name: string, args: string[], checkout = '.'): Promise<Contender> {
  const port = await freePort()
  const log = openSync(join(tmpdir(), `mirrorface-bench-${port}.log`), 'w')
  const serve = [
    '--max-semi-space-size=16',
    join(checkout, 'bin/mirrorface.js'),
    'serve',
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--metrics-port',
    '0',
  ]
  const all = [...serve, '--log-format', 'json', ...args]
  return await ofProcess(name, process.execPath, all, `http://127.0.0.1:${port}`, {}, log)
}

export async function nginx(name: string, server: string, options: { address?: string } = {}): Promise<Contender> {
  const started = await startNginx(server, options)
  return { ...started, name, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() }
}

/** The Python MirrorFace's way: Starlette's FileResponse under uvicorn; metadata is read and parsed for each request. */
export async function starlette(directory: string): Promise<Contender> {
  const port = await freePort()
  const app = [
    '-m',
    'uvicorn',
    '--app-dir',
    here,
    '--port',
    String(port),
    '--log-level',
    'error',
    '--no-access-log',
    'starlette_app:app',
  ]
  return await ofProcess('Starlette FileResponse', python, app, `http://127.0.0.1:${port}`, {
    BENCH_DIRECTORY: directory,
  })
}

/** Olah, with a cache that is warm: what it serves is what it holds. */
export async function olah(directory: string, hub: string): Promise<Contender> {
  const port = await freePort()
  const config = join(directory, 'olah.toml')
  const [scheme = '', host = ''] = hub.split('://')
  await writeFile(
    config,
    `[basic]\nhost = "127.0.0.1"\nport = ${port}\nrepos-path = "${directory}/olah-repos"\nhf-scheme = "${scheme}"\nhf-netloc = "${host}"\nhf-lfs-netloc = "${host}"\nmirror-scheme = "http"\nmirror-netloc = "127.0.0.1:${port}"\nmirror-lfs-netloc = "127.0.0.1:${port}"\nmirrors-path = []\n[accessibility]\noffline = false\n[[accessibility.proxy]]\nrepo = "*"\nallow = true\n[[accessibility.cache]]\nrepo = "*"\nallow = true\n`,
  )
  return await ofProcess(
    'Olah',
    python,
    ['-m', 'olah.server', '-c', config, '--log-path', `${directory}/olah-logs`],
    `http://127.0.0.1:${port}`,
  )
}

/** Koa with `ctx.body = createReadStream(path)`, as the tutorials have it. */
export async function plainKoa(file: string): Promise<Contender> {
  const port = await freePort()
  return await ofProcess(
    'plain Koa',
    process.execPath,
    [join(here, 'plain-koa.js'), String(port), file],
    `http://127.0.0.1:${port}`,
  )
}

/** Bare Node that answers from memory: what no framework on Node can pass. */
export async function bareNode(body: Buffer): Promise<Contender> {
  const port = await freePort()
  const code = `require('node:http').createServer((q,s)=>{s.writeHead(200,{'Content-Type':'application/json','Content-Length':b.length});s.end(b)}).listen(${port},'127.0.0.1');const b=Buffer.from(process.env.BODY,'base64')`
  return await ofProcess('bare Node', process.execPath, ['-e', code], `http://127.0.0.1:${port}`, {
    BODY: body.toString('base64'),
  })
}

/** CPU seconds that a process and its children have used. */
export function cpuSeconds(pid: number): number {
  let total = 0
  for (const one of [pid, ...childrenOf(pid)]) {
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    total += (Number(fields[11]) + Number(fields[12])) / 100
  }
  return total
}

/** Peak memory of a process and its children, in MiB. */
export function peakMemory(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce(
    (sum, one) => sum + Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    0,
  )
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return Number(readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === pid
      } catch {
        return false // it ended meanwhile
      }
    })
}
