import type { ServerResponse } from 'node:http'
import { Failure } from '../../hub/index.ts'
import { cut } from './cut.ts'

/** A client took nothing of what waited for it. */
export class ReaderStopped extends Failure {
  constructor(timeout: number) {
    super('ReaderStopped', 408, `the client took nothing of what waited for it for ${timeout / 1000} s`)
  }
}

/**
 * Cuts a client that takes nothing of what waits for it for `timeout` milliseconds, as nginx's `send_timeout` does. A
 * response that waits for its source is left alone: its socket is idle too, but has nothing to send.
 */
export function limitStalls(response: ServerResponse, timeout: number): void {
  response.setTimeout(timeout, () => {
    if (response.writableLength > 0) cut(response, new ReaderStopped(timeout))
    else response.socket?.setTimeout(timeout) // a timer that has fired must be set again
  })
}
