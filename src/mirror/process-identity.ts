import { readFileSync, readlinkSync } from 'node:fs'

/** A process as no other is, wherever it runs: a pid means something only within its namespace and boot. */
export interface ProcessIdentity {
  /** The boot of the machine's kernel, and the namespace of the pid. */
  readonly space: string
  readonly pid: number
  /** Ticks since the boot: pids are reused. */
  readonly startedAt: string
}

/** This process; `undefined` where the system does not tell (it is not Linux). */
export function ownIdentity(): ProcessIdentity | undefined {
  const startedAt = stateOf(process.pid)?.startedAt
  const space = ownSpace()
  return space === undefined || startedAt === undefined ? undefined : { space, pid: process.pid, startedAt }
}

/** Whether a process is certain to have ended. */
export function hasEnded({ space, pid, startedAt }: ProcessIdentity): boolean {
  if (space !== ownSpace()) return false
  if (!isKnown(pid)) return true
  const found = stateOf(pid)
  return found !== undefined && (found.startedAt !== startedAt || found.isOver)
}

/** Whether the kernel knows the pid. One that has ended is known until its parent has asked for its exit status. */
function isKnown(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

function ownSpace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return undefined
  }
}

interface ProcessState {
  readonly startedAt: string
  /** A zombie: the first process of many containers never asks for those whose parent has ended before them. */
  readonly isOver: boolean
}

function stateOf(pid: number): ProcessState | undefined {
  try {
    // After the command's name, which may hold anything, in parentheses: fields 3 and 22 of proc_pid_stat(5).
    const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?!.*\) )/s)
    const [state = '', ...others] = fields.split(' ')
    const startedAt = others[18]
    return startedAt === undefined ? undefined : { startedAt, isOver: /^[ZXx]$/.test(state) }
  } catch {
    return undefined // it has ended, or belongs to somebody else
  }
}
