import sonicBoom from 'sonic-boom'

/** Memory in bytes for lines that nobody takes; beyond it lines are lost rather than requests. */
const mostWaiting = 8 * 1024 * 1024

/** Where a log's lines go. */
export interface LogOutput {
  write(text: string): unknown
}

/** Bytes of a write. */
const largestWrite = 64 * 1024

/** Times that a full pipe is tried again, each after 100 ms, when the process ends. */
const lastTries = 5

/**
 * Standard output, or error output, for a server's lines: those that come while a write is under way leave with the next
 * one. Writing never throws and never waits: whatever becomes of the log, requests are served. One process writes to
 * it: whether a write waits for room is a property of the open file, which all that inherited it share, and a process
 * that starts switches it for the others.
 */
export function openLogOutput(stream: { readonly fd: number } = process.stdout): LogOutput {
  let isGone = false
  let triesLeft = Number.POSITIVE_INFINITY
  const output = new sonicBoom.SonicBoom({
    fd: stream.fd,
    sync: false,
    maxWrite: largestWrite,
    maxLength: mostWaiting,
    // A pipe that nobody empties must not hold a process that ends.
    retryEAGAIN: () => triesLeft-- > 0,
  })
  output.on('error', (error: NodeJS.ErrnoException) => {
    // A disk that is full may have room later: the line is tried again with the next one.
    if (isGone || error.code === 'ENOSPC' || error.code === 'EDQUOT') return
    // The reader has gone, and nobody is left to be told.
    isGone = true
    output.destroy()
  })
  process.once('exit', () => {
    if (isGone) return
    triesLeft = lastTries
    try {
      output.flushSync()
    } catch {
      // As above.
    }
  })
  return {
    write: (text) => {
      if (!isGone) output.write(text)
    },
  }
}
