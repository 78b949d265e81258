import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, installedBinary } from './emulator.ts'
import { temporaryFolder } from './processes.ts'

export const s3Credentials = { AWS_ACCESS_KEY_ID: 'mirror', AWS_SECRET_ACCESS_KEY: 'mirror-secret-key' } as const

/** A real server of the S3 protocol, versitygw, with its buckets as folders of its own. */
export interface S3Server extends AsyncDisposable {
  readonly url: string
  makeBucket(name: string): Promise<void>
}

export async function startS3Server(): Promise<S3Server> {
  const port = await freePort()
  const folder = await temporaryFolder()
  const buckets = join(folder.path, 'buckets')
  await mkdir(buckets)
  const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = s3Credentials
  const args = [
    ...['--port', `127.0.0.1:${port}`, '--access', access, '--secret', secret, '--quiet', '--keep-alive'],
    ...['posix', buckets],
  ]
  const child = spawn(installedBinary('versitygw'), args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const url = `http://127.0.0.1:${port}`
  for (let attempt = 0; ; attempt++) {
    // Whoever signs nothing is refused: that it says so is enough.
    const isUp = await fetch(url).then(
      () => true,
      () => false,
    )
    if (isUp) break
    if (attempt === 200 || child.exitCode !== null) throw new Error('the S3 server does not start')
    await delay(50)
  }
  return {
    url,
    makeBucket: async (name) => {
      await mkdir(join(buckets, name))
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
      await folder[Symbol.asyncDispose]()
    },
  }
}
