import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A network of its own for clients, out of which only the mirror's host can be reached. */
export interface ClosedNetwork extends Disposable {
  /** The address at which clients in it reach this host. */
  readonly hostAddress: string
  /** The command that runs another in it. */
  readonly enter: readonly string[]
  /** Makes names lead to this host, for what is run in it from now on. */
  resolve(...names: string[]): void
}

/** Where ip-netns(8) looks for what a namespace has in place of files of /etc. */
const settingsOf = (name: string) => join('/etc/netns', name)

/**
 * Two ends of a cable: one here, one in a network namespace without any other way out (ip-netns(8)).
 * Networks open at the same time differ in `subnet`.
 */
export function closeNetwork(subnet = 77): ClosedNetwork {
  removeStale(subnet)
  const name = `mirrorface-${process.pid}-${subnet}`
  const [here, there] = [`mfh${subnet}-${process.pid}`, `mfc${subnet}-${process.pid}`]
  const hostAddress = `10.231.${subnet}.1`
  ip('netns', 'add', name)
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
  ip('address', 'add', `${hostAddress}/30`, 'dev', here)
  ip('link', 'set', here, 'up')
  ip('-n', name, 'address', 'add', `10.231.${subnet}.2/30`, 'dev', there)
  ip('-n', name, 'link', 'set', there, 'up')
  ip('-n', name, 'link', 'set', 'lo', 'up')
  return {
    hostAddress,
    enter: ['ip', 'netns', 'exec', name],
    resolve: (...names) => {
      mkdirSync(settingsOf(name), { recursive: true })
      const lines = [`127.0.0.1 localhost`, ...names.map((one) => `${hostAddress} ${one}`)]
      writeFileSync(join(settingsOf(name), 'hosts'), `${lines.join('\n')}\n`)
    },
    [Symbol.dispose]: () => remove(name),
  }
}

/** Deletes networks of that subnet that killed processes left: their addresses would be in the way. */
function removeStale(subnet: number): void {
  const names = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).matchAll(/^mirrorface-(\d+)-(\d+)\b/gm)
  for (const [name, pid, other] of names) if (Number(other) === subnet && !existsSync(`/proc/${pid}`)) remove(name)
}

function remove(name: string): void {
  ip('netns', 'delete', name)
  rmSync(settingsOf(name), { recursive: true, force: true })
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
