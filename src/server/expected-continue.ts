import type { Server, ServerResponse } from 'node:http'

/** Those whose clients hold a body back until they are told to send it (RFC 9110 §10.1.1). */
const held = new WeakSet<ServerResponse>()

/**
 * Node says `100 Continue` to whoever asks, before anything is known of the request, and a refused upload would be sent
 * whole. Here the client is told by {@link sendContinue} only, once its body is wanted.
 */
export function holdContinue(server: Server): void {
  server.on('checkContinue', (request, response) => {
    held.add(response)
    server.emit('request', request, response)
  })
}

/** Somebody is about to read the body. */
export function sendContinue(response: ServerResponse): void {
  if (!held.delete(response) || response.headersSent || response.destroyed) return
  response.writeContinue()
}

/**
 * Whether the client was never told to send the body, and may do so nevertheless or not at all: nobody can tell where its
 * next request would begin.
 */
export function isHeld(response: ServerResponse): boolean {
  return held.has(response)
}
