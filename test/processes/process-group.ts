import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../support/processes.ts'

export const bin = fileURLToPath(new URL('../../bin/mirrorface.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A server in a process group of its own, so that whatever it leaves behind can be found. Linux only. */
export class ProcessGroup implements AsyncDisposable {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<Ended>
  #output = ''

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, ['--max-semi-space-size=16', bin, 'serve', ...args], {
      env: cleanEnvironment(environment),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.pid = this.child.pid ?? 0
    const take = (chunk: Buffer) => {
      this.#output += chunk.toString()
    }
    this.child.stdout?.on('data', take)
    this.child.stderr?.on('data', take)
    // A test that runs out of time disposes of nothing.
    const kill = () => {
      for (const pid of this.members()) sendSignal(pid, 'SIGKILL')
    }
    process.once('exit', kill)
    this.child.once('exit', () => {
      if (this.members().length === 0) process.removeListener('exit', kill)
    })
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }))
  }

  get output(): string {
    return this.#output
  }

  /** Processes of the group that run, the primary first. */
  members(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        const [state, group] = statOf(pid)
        return group === this.pid && state !== 'Z'
      })
      .sort((one, other) => Number(other === this.pid) - Number(one === this.pid) || one - other)
  }

  workers(): number[] {
    return this.members().filter((pid) => pid !== this.pid)
  }

  /** Whether it ended within so many milliseconds. */
  async endsWithin(milliseconds: number): Promise<Ended | undefined> {
    return await Promise.race([this.ended, delay(milliseconds, undefined, { ref: false })])
  }

  /** Processes that are still there after so many milliseconds. */
  async leftAfter(milliseconds: number): Promise<number[]> {
    const end = performance.now() + milliseconds
    while (this.members().length > 0 && performance.now() < end) await delay(20)
    return this.members()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.members()) sendSignal(pid, 'SIGKILL')
    await this.ended
  }
}

/** State and process group; nothing of a process that has gone. */
function statOf(pid: number): [state?: string | undefined, group?: number] {
  try {
    // The name is in parentheses, and may hold anything.
    const [state, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return [state, Number(group)]
  } catch {
    return []
  }
}

/** Whether a process has handlers of ours: before, it is the kernel, or Node by itself, that ends it. SIGHUP's is the last. */
export function hasHandlers(pid: number): boolean {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0'
    return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals.SIGHUP - 1))) !== 0n
  } catch {
    return false
  }
}

/** False where the process has gone already. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address instanceof Object ? address.port : 0
}

/** Whether anybody takes connections at a port. */
export async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return await once(socket, 'connect').then(
    () => {
      socket.destroy()
      return true
    },
    () => false,
  )
}

export async function answers(port: number): Promise<boolean> {
  try {
    const options = { headers: { connection: 'close' }, signal: AbortSignal.timeout(2_000) }
    const response = await fetch(`http://127.0.0.1:${port}/health`, options)
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  milliseconds = 15_000,
): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it does not come to pass within ${milliseconds} ms: ${what}`)
    await delay(20)
  }
}
