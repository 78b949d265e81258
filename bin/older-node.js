/**
 * Where the Node on the PATH is too old: a clone has brought a newer one along (scripts/newer-node), which is
 * started in its place; elsewhere it is said what is needed.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const newer = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
if (existsSync(newer)) {
  // In a session of its own: the terminal signals the whole process group, and what is forwarded here would then
  // reach the child twice, as if the person had lost patience.
  const child = spawn(newer, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit', detached: true })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGWINCH'])
    process.on(signal, () => child.kill(signal))
  process.on('SIGTSTP', () => {
    child.kill('SIGSTOP')
    process.kill(process.pid, 'SIGSTOP')
  })
  process.on('SIGCONT', () => child.kill('SIGCONT'))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0)
  })
} else {
  process.stderr.write(`mirrorface: Node ${process.versions.node} is too old: install Node 22.20 or newer\n`)
  process.exitCode = 2
}
