import type { Readable } from 'node:stream'
import type { LogOutput } from './log-output.ts'

/** Bytes of an unfinished line that are held back. */
const longestHeld = 1024 * 1024

/** Writes what another process says, in whole lines, so that those of several don't mix; its last words get an end. */
export function passOn(source: Readable, output: LogOutput): void {
  let held = Buffer.alloc(0)
  source.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf('\n') + 1
    if (end === 0 && held.length + chunk.length <= longestHeld) {
      held = Buffer.concat([held, chunk])
      return
    }
    output.write(Buffer.concat([held, chunk.subarray(0, end === 0 ? chunk.length : end)]).toString())
    held = Buffer.from(end === 0 ? '' : chunk.subarray(end))
  })
  source.once('end', () => {
    if (held.length > 0) output.write(`${held}\n`)
  })
  // It was killed in the middle of a write: there is no more to come.
  source.on('error', () => undefined)
}
