import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds for which a reader that stalls may keep the process from ending after an interruption. */
const flushLimit = 200

/** Starts in a millisecond where it is to be had, which is not in every image. */
const shell = '/bin/sh'

/** Milliseconds in which a process with nothing left to do ends by itself, which is cheapest. */
const lingering = 200

/**
 * Ends the process with `process.exitCode`, once what was printed has left it.
 *
 * `process.exit` waits for threads of libuv's pool, and one may hang in the kernel: a lookup without a name
 * server, a read from a dead mount. Replacing the process image waits for none.
 */
export async function endProcess(interrupted: boolean): Promise<void> {
  const flushed = Promise.all([process.stdout, process.stderr].map(flush))
  await (interrupted ? Promise.race([flushed, delay(flushLimit)]) : flushed)
  if (interrupted) force()
  else setTimeout(force, lingering).unref()
}

function force(): never {
  const code = Number(process.exitCode ?? 0)
  if (hasBusyThreads()) {
    const [file, option, script] = existsSync(shell)
      ? [shell, '-c', `exit ${code}`]
      : [process.execPath, '-e', `process.exit(${code})`]
    process.execve?.(file, [file, option, script], {})
  }
  process.exit(code)
}

function hasBusyThreads(): boolean {
  return process.getActiveResourcesInfo().some((name) => /^(?:FSReq|GetAddrInfo|GetNameInfo)/.test(name))
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve()
    else stream.write('', () => resolve())
  })
}
