import sonicBoom from 'sonic-boom'

/** Memory in bytes for lines that nobody takes; beyond it lines are lost rather than requests. */
const mostWaiting = 8 * 1024 * 1024

/** Where a log's lines go. */
export interface LogOutput {
  write(text: string): unknown
}

/** What a pipe takes in one piece, in bytes: lines of several processes never mix (PIPE_BUF of pipe(7)). */
const atomicWrite = 4096
const largestWrite = 64 * 1024

/**
 * Standard output for a server's log: lines that come while a write is under way leave with the
 * next one. `isShared` where other processes write to it as well.
 */
export function openLogOutput(isShared: boolean): LogOutput {
  const output = new sonicBoom.SonicBoom({
    fd: process.stdout.fd,
    sync: false,
    maxWrite: isShared ? atomicWrite : largestWrite,
    maxLength: mostWaiting,
  })
  // Whoever read the log has gone, and nobody is left to be told; requests are still served.
  output.on('error', () => output.destroy())
  process.once('exit', () => {
    try {
      output.flushSync()
    } catch {
      // As above.
    }
  })
  return output
}
