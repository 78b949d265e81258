import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { ClientRequest } from 'node:http'

/** Published for every request of `node:http` and `node:https` as it is made, before a byte of it is sent. */
const channel = 'http.client.request.created'

/**
 * Ends requests to a host on which no byte has moved in either direction for `limit` milliseconds, with
 * `ETIMEDOUT`; returns how to stop that. Google's client has a time limit of its own, which has no
 * effect: its HTTP library does not implement it, and gives no access to its sockets.
 *
 * A response that its reader has paused is left alone: it is the reader who is slow.
 */
export function cutStalledRequests(host: string, limit: number): () => void {
  const watch = (message: unknown): void => {
    const request = message instanceof Object && 'request' in message ? message.request : undefined
    if (!(request instanceof ClientRequest) || request.getHeader('host') !== host) return
    request.setTimeout(limit)
    // The client's HTTP library takes the timer off when the response begins.
    request.once('response', () => process.nextTick(() => request.socket?.setTimeout(limit)))
    request.on('timeout', () => {
      const { socket } = request
      if (socket?.isPaused() === true)
        socket.setTimeout(limit) // it fires once for each time that it is set
      else (socket ?? request).destroy(Object.assign(new Error(`no byte for ${limit / 1000} s`), { code: 'ETIMEDOUT' }))
    })
  }
  subscribe(channel, watch)
  return () => {
    unsubscribe(channel, watch)
  }
}
