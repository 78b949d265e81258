import type { ServerResponse } from 'node:http'

/**
 * Cuts a client that takes nothing of what waits for it for `timeout` milliseconds, as nginx's `send_timeout` does. A
 * response that waits for its source is left alone: its socket is idle too, but has nothing to send.
 */
export function limitStalls(response: ServerResponse, timeout: number): void {
  response.setTimeout(timeout, () => {
    if (response.writableLength > 0) response.destroy()
    else response.socket?.setTimeout(timeout) // a timer that has fired must be set again
  })
}
