import type { IncomingMessage, ServerResponse } from 'node:http'

/** What goes wrong with an answer. */
export type Fault =
  /** Closes the connection before the head. */
  | { readonly kind: 'refuse' }
  /** Answers nothing, and keeps the connection open. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** Cuts the connection after so many body bytes. */
  | { readonly kind: 'reset'; readonly after: number }
  /** Stops after so many body bytes, and keeps the connection open. */
  | { readonly kind: 'stall'; readonly after: number }
  /** Sends other bytes of the same length. */
  | { readonly kind: 'corrupt' }
  /** Waits before it answers, in milliseconds. */
  | { readonly kind: 'delay'; readonly milliseconds: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Ends a chunked body early, cleanly, without a length: fewer bytes than announced elsewhere. */
  | { readonly kind: 'short'; readonly after: number }
  /** Another JSON answer in place of the right one. */
  | { readonly kind: 'body'; readonly body: string }
  /** Half of the answer's head, then nothing more. */
  | { readonly kind: 'half-head' }

export interface HubRequestSeen {
  readonly server: 'hub' | 'cdn'
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** Unix time in milliseconds. */
  readonly at: number
}

/** Chooses a fault for a request; `undefined`: all is well. */
export type FaultChooser = (request: HubRequestSeen) => Fault | undefined

/** Puts faults that replace the answer into effect; returns whether the request is done with. */
export async function applyFault(
  fault: Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  switch (fault?.kind) {
    case 'refuse':
      request.socket.destroy()
      return true
    case 'silence':
      return true
    case 'half-head':
      request.socket.write('HTTP/1.1 200 OK\r\nContent-Le')
      setTimeout(() => request.socket.destroy(), 50)
      return true
    case 'status':
      response
        .writeHead(fault.status, { 'Content-Type': 'application/json', ...fault.headers })
        .end(JSON.stringify({ error: `fault ${fault.status}` }))
      return true
    case 'body':
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(fault.body)
      return true
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, fault.milliseconds))
      return false
    default:
      return false
  }
}
