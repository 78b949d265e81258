import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Failure } from '../../hub/index.ts'
import { cut } from './cut.ts'

/** A client took nothing of what waited for it. */
export class ReaderStopped extends Failure {
  constructor(timeout: number) {
    super('ReaderStopped', 408, `the client took nothing of what waited for it for ${timeout / 1000} s`)
  }
}

/** Looks within the limit; a client is cut late by the time between two of them at most. */
const looks = 10

/**
 * Cuts a client that takes nothing of what waits for it for `timeout` milliseconds, as nginx's `send_timeout` does; 0:
 * never. A response that waits for its source is left alone: its socket is idle too, but has nothing to send.
 *
 * Not by the socket's own timeout: that begins anew with each write, and after one of which the kernel took a part at
 * once it takes that part for progress when it is over, so that how long it lasts depends on where the body comes from.
 * Looks are counted, not the time: one for which this process had no time itself is no client's fault.
 */
export function limitStalls(response: ServerResponse, timeout: number): void {
  if (timeout === 0) return
  let before = progressOf(response)
  let inVain = 0
  const timer = setInterval(() => {
    const now = progressOf(response)
    const isStalled = response.writableLength > 0 && now.whole === before.whole && now.part === before.part
    before = now
    inVain = isStalled ? inVain + 1 : 0
    if (inVain === looks) cut(response, new ReaderStopped(timeout))
  }, timeout / looks)
  timer.unref()
  response.once('close', () => clearInterval(timer))
}

interface Progress {
  /** Bytes of writes that the kernel has taken whole. */
  readonly whole: number
  /** Bytes that it has not taken yet of the one under way. Node does not document it: without it, writes count whole. */
  readonly part: number | undefined
}

function progressOf({ socket }: ServerResponse): Progress {
  if (socket === null) return { whole: 0, part: undefined }
  return { whole: socket.bytesWritten - socket.writableLength, part: writeQueueSizeOf(socket) }
}

function writeQueueSizeOf(
  socket: Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null },
): number | undefined {
  return socket._handle?.writeQueueSize
}
