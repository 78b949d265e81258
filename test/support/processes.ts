import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../bin/mirrorface.js', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Environment for a child: ours, without settings of MirrorFace or tokens that would leak in. */
export function cleanEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(?:MIRRORFACE_|HF_|HUGGING_FACE_)/.test(name))
  return { ...Object.fromEntries(kept), HF_TOKEN_PATH: '/nonexistent/token', ...extra }
}

export function spawnMirrorFace(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  // As `npm start`, the image and the file's first line have it: how much garbage is let lie before it is collected
  // would otherwise depend on the machine's memory.
  return spawn(process.execPath, ['--max-semi-space-size=16', bin, ...args], {
    env: cleanEnvironment(environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs the built CLI to its end. */
export async function runMirrorFace(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Finished> {
  return await collect(spawnMirrorFace(args, environment))
}

export async function run(
  command: string,
  args: readonly string[],
  environment: Record<string, string> = {},
  cwd?: string,
): Promise<Finished> {
  return await collect(
    spawn(command, args, {
      env: cleanEnvironment(environment),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd !== undefined && { cwd }),
    }),
  )
}

async function collect(child: ChildProcess): Promise<Finished> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

export interface ServerProcess {
  readonly url: string
  /** `url` with the prefix: what clients set as `HF_ENDPOINT`. */
  readonly endpoint: string
  readonly metricsUrl: string
  readonly child: ChildProcess
  readonly log: Record<string, unknown>[]
  readonly output: () => string
  stop(signal?: NodeJS.Signals): Promise<Finished>
}

/** Starts `mirrorface serve` on free ports, unless `args` names one, and waits until it listens. */
export async function startMirrorFace(
  args: readonly string[],
  environment: Record<string, string> = {},
  host = '127.0.0.1',
): Promise<ServerProcess> {
  const port = args.includes('--port') ? [] : ['--port', '0']
  const child = spawnMirrorFace(['serve', '--host', host, ...port, '--metrics-port', '0', ...args], environment)
  const finished = collect(child)
  const log: Record<string, unknown>[] = []
  let output = ''
  child.stderr?.on('data', (chunk) => (output += chunk))
  const listening = Promise.withResolvers<{ port: number; metricsPort: number }>()
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    output += `${line}\n`
    if (!line.startsWith('{')) return
    const record = JSON.parse(line)
    log.push(record)
    if (String(record.msg).startsWith('listening')) listening.resolve(record)
  })
  void finished.then(({ stderr, stdout }) => listening.reject(new Error(`the server ended: ${stderr}${stdout}`)))
  const listened = await listening.promise
  const url = `http://${host}:${listened.port}`
  return {
    url,
    endpoint: `${url}/mirror`,
    metricsUrl: `http://${host}:${listened.metricsPort}/metrics`,
    child,
    log,
    output: () => output,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return await finished
    },
  }
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'mirrorface-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
