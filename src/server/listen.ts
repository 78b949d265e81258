import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { Failure } from '../hub/index.ts'
import { cutConnection } from './delivery/cut.ts'
import { ServerStopped } from './observe/request-recorder.ts'

/** Milliseconds after a stop in which a connection that has not sent a whole request may still do so. */
const unusedPeriod = 1000

/** A server that takes connections. */
export interface Listening {
  readonly address: AddressInfo
  /**
   * Takes no more connections, closes each as soon as its response has ended, and destroys the rest
   * after `gracePeriod` milliseconds, or once `cut` is aborted. Resolves when all are closed.
   */
  close(gracePeriod: number, cut?: AbortSignal): Promise<void>
}

/** Resolves when the server takes connections; rejects with what to do where it can't. */
export async function listen(server: Server, host: string, port: number): Promise<Listening> {
  const connections = new Connections(server)
  server.listen({ host, port, backlog: 2048 })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE'
        ? 'the port is taken: stop the other server, or choose another port'
        : code === 'EACCES'
          ? 'no permission: choose a port above 1023'
          : (error as Error).message
    throw new Failure('CannotListen', 500, `cannot listen on ${host}:${port}: ${reason}`, { cause: error })
  }
  return {
    address: server.address() as AddressInfo,
    close: async (gracePeriod, cut) => {
      const closed = once(server, 'close')
      // Not the HTTP server's own: it would destroy connections whose last bytes are only buffered.
      NetServer.prototype.close.call(server)
      connections.closeWhenIdle()
      const closeUnused = setTimeout(() => connections.closeUnused(), Math.min(gracePeriod, unusedPeriod))
      const destroyAll = setTimeout(() => connections.destroy(), gracePeriod)
      const destroyNow = () => connections.destroy()
      cut?.addEventListener('abort', destroyNow)
      if (cut?.aborted === true) destroyNow()
      await closed
      cut?.removeEventListener('abort', destroyNow)
      clearTimeout(closeUnused)
      clearTimeout(destroyAll)
    },
  }
}

/**
 * A server's connections, each with its latest response; of one that speaks TLS, once its handshake is over. Node's own `closeIdleConnections` takes a
 * response whose last bytes are only buffered for a finished one, and leaves alone what becomes idle later.
 */
class Connections {
  readonly #latest = new Map<Socket, ServerResponse | undefined>()
  /** Connections whose handshake is under way, by both ends' addresses: the socket that comes out of it names no other link. */
  readonly #handshakes = new Map<string, Socket>()

  constructor(server: Server) {
    if (server instanceof TlsServer) {
      server.on('connection', (socket: Socket) => this.#addHandshake(socket))
      server.on('secureConnection', (socket) => {
        this.#handshakes.delete(endsOf(socket))
        this.#add(socket)
      })
    } else server.on('connection', (socket) => this.#add(socket))
    server.on('request', ({ socket }, response) => this.#latest.set(socket, response))
  }

  #add(socket: Socket): void {
    this.#latest.set(socket, undefined)
    socket.once('close', () => this.#latest.delete(socket))
  }

  #addHandshake(socket: Socket): void {
    const ends = endsOf(socket)
    this.#handshakes.set(ends, socket)
    socket.once('close', () => {
      if (this.#handshakes.get(ends) === socket) this.#handshakes.delete(ends)
    })
  }

  /** Closes those whose response has ended, at once, and the others when theirs has. */
  closeWhenIdle(): void {
    for (const [socket, response] of this.#latest) {
      if (response === undefined) continue
      if (response.writableFinished) socket.destroySoon()
      else {
        // Node closes the connection behind a response that says so; one whose head has left can say it no more.
        if (!response.headersSent) response.setHeader('Connection', 'close')
        response.once('finish', () => socket.destroySoon())
      }
    }
  }

  /** Closes those that clients opened ahead of need, and those whose request's head does not end. */
  closeUnused(): void {
    for (const socket of this.#handshakes.values()) socket.destroy()
    for (const [socket, response] of this.#latest) if (response === undefined) socket.destroy()
  }

  destroy(): void {
    for (const socket of this.#handshakes.values()) socket.destroy()
    for (const socket of this.#latest.keys()) cutConnection(socket, new ServerStopped())
  }
}

function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`
}
