import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { UpstreamTimeout } from './health.ts'

/** Ends a request that gets no connection, or no answer's head, in time (both in milliseconds). */
export function limitWaiting(
  request: ClientRequest,
  socket: Socket,
  limits: { readonly connectTimeout: number; readonly headersTimeout: number },
): void {
  const waiting = setTimeout(
    () => request.destroy(new UpstreamTimeout(`no answer within ${limits.headersTimeout} ms`)),
    limits.headersTimeout,
  )
  request.once('response', () => clearTimeout(waiting))
  request.once('close', () => clearTimeout(waiting))
  if (!socket.connecting) return
  const connecting = setTimeout(
    () => request.destroy(new UpstreamTimeout(`no connection within ${limits.connectTimeout} ms`)),
    limits.connectTimeout,
  )
  const settled = () => clearTimeout(connecting)
  socket.once('encrypted' in socket ? 'secureConnect' : 'connect', settled)
  socket.once('close', settled)
}
