/**
 * Loaded into a process under test by `NODE_OPTIONS=--import`: keeps the longest time that the event loop was held and
 * the most memory that the process had, in a file of `EVENT_LOOP_FOLDER`.
 *
 * What counts is the CPU time of the loop's own thread between two turns: the machine is shared, and a process that is
 * not running holds nobody up.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const folder = process.env.EVENT_LOOP_FOLDER
if (folder !== undefined && isMainThread) {
  const file = join(folder, `${process.pid}.json`)
  let longest = 0
  let before = process.threadCpuUsage()
  const keep = (): void => {
    const memory = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    const command = process.argv.slice(2).join(' ')
    writeFileSync(file, JSON.stringify({ command, longest, peak: Number(memory) / 1024 }))
  }
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(before)
    const held = (user + system) / 1000
    if (held > longest) {
      longest = held
      if (process.uptime() > 2) keep()
    }
    before = process.threadCpuUsage()
  }
  // Loading the program itself is not measured.
  setTimeout(() => {
    before = process.threadCpuUsage()
    setInterval(look, 1).unref()
  }, 0).unref()
  process.on('exit', keep)
}
