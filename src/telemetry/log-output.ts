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

/** Times that a full pipe is tried again, each after 100 ms, when the process ends. */
const lastTries = 5

/**
 * Standard output for a server's log: lines that come while a write is under way leave with the
 * next one. `isShared` where other processes write to it as well. Writing never throws: whatever
 * becomes of the log, requests are served.
 */
export function openLogOutput(isShared: boolean): LogOutput {
  let isGone = false
  let triesLeft = Number.POSITIVE_INFINITY
  const output = new sonicBoom.SonicBoom({
    fd: process.stdout.fd,
    sync: false,
    maxWrite: isShared ? atomicWrite : largestWrite,
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

/**
 * Starting a child makes the pipe that it shares with its parent blocking, for both: a write into a
 * full one would then hold a thread, and the last one the end of the process. To be called after each start.
 */
export function unblockLogOutput(): void {
  const handle: unknown = Reflect.get(process.stdout, '_handle')
  if (handle instanceof Object && 'setBlocking' in handle && typeof handle.setBlocking === 'function')
    handle.setBlocking(false)
}
