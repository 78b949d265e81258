import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './processes.ts'

export function installedBinary(name: string): string {
  // While mutants are tested, the sources are a copy in a folder of a folder of the cache.
  const paths = [`../../.cache/bin/${name}`, `../../../../bin/${name}`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  const path = paths.find((one) => existsSync(one))
  if (path === undefined) throw new Error(`${paths[0]} is missing: run scripts/install-emulators.sh`)
  return path
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill(signal)
  await closed
}

/** A real server of the GCS API, with its objects in a folder of its own. */
export interface GcsEmulator extends AsyncDisposable {
  readonly url: string
  makeBucket(name: string): Promise<void>
  /** Memory and CPU are the child's own. */
  readonly child: ChildProcess
}

export async function startGcsEmulator(): Promise<GcsEmulator> {
  const port = await freePort()
  const folder = await temporaryFolder()
  const url = `http://127.0.0.1:${port}`
  const args = [
    '-scheme',
    'http',
    '-host',
    '127.0.0.1',
    '-port',
    String(port),
    '-backend',
    'filesystem',
    '-filesystem-root',
    folder.path,
    '-external-url',
    url,
    '-public-host',
    `127.0.0.1:${port}`,
    '-log-level',
    'error',
  ]
  // It composes objects in memory, several times their size where its garbage collector is left alone.
  const env = { ...process.env, GOGC: '50' }
  const child = spawn(installedBinary('fake-gcs-server'), args, { stdio: ['ignore', 'ignore', 'inherit'], env })
  for (let attempt = 0; ; attempt++) {
    const isUp = await fetch(`${url}/storage/v1/b?project=x`).then(
      (response) => response.ok,
      () => false,
    )
    if (isUp) break
    if (attempt === 200) throw new Error('the GCS emulator does not start')
    await delay(50)
  }
  return {
    url,
    child,
    makeBucket: async (name) => {
      const made = await fetch(`${url}/storage/v1/b?project=x`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name }),
      })
      if (!made.ok) throw new Error(`bucket ${name} could not be made: ${made.status}`)
    },
    [Symbol.asyncDispose]: async () => {
      await ended(child, 'SIGKILL')
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** A bucket mounted by the real gcsfuse. */
export interface GcsMount extends AsyncDisposable {
  readonly path: string
  /** Takes the mount away, as a crash of gcsfuse does. */
  unmount(): Promise<void>
  mount(): Promise<void>
}

export async function mountBucket(emulator: string, bucket: string): Promise<GcsMount> {
  const folder = await temporaryFolder()
  let child: ChildProcess | undefined
  const unmount = async () => {
    const unmounting = spawn('fusermount3', ['-u', '-z', folder.path], { stdio: 'ignore' })
    await once(unmounting, 'close')
    if (child !== undefined) await ended(child, 'SIGTERM')
  }
  const mount = async () => {
    const args = [
      '--foreground',
      '--implicit-dirs',
      '--enable-hns=false',
      '--anonymous-access',
      '--custom-endpoint',
      `${emulator}/storage/v1/`,
      '--metadata-cache-ttl-secs',
      '0',
      '--metadata-cache-negative-ttl-secs',
      '0',
      '-o',
      'ro',
      bucket,
      folder.path,
    ]
    let output = ''
    const mounted = spawn(installedBinary('gcsfuse'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child = mounted
    mounted.stdout?.on('data', (chunk) => (output += chunk))
    mounted.stderr?.on('data', (chunk) => (output += chunk))
    for (let attempt = 0; !(await isMount(folder.path)); attempt++) {
      if (attempt === 200 || mounted.exitCode !== null) throw new Error(`gcsfuse does not mount: ${output}`)
      await delay(50)
    }
  }
  await mount()
  return {
    path: folder.path,
    mount,
    unmount,
    [Symbol.asyncDispose]: async () => {
      await unmount()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function isMount(path: string): Promise<boolean> {
  const { readFile } = await import('node:fs/promises')
  return (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${path} `)
}
