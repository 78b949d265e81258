import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Failure } from '../hub/index.ts'

/** Milliseconds after a stop in which a connection just made may still send its request. */
const unusedPeriod = 1000

/** A server that takes connections. */
export interface Listening {
  readonly address: AddressInfo
  /** Takes no more requests, lets running answers end within `gracePeriod` milliseconds, and cuts the rest. */
  close(gracePeriod: number): Promise<void>
}

/** Resolves when the server takes connections; rejects with what to do where it can't. */
export async function listen(server: Server, host: string, port: number): Promise<Listening> {
  const connections = new Set<Socket>()
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
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
    close: async (gracePeriod) => {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      // Connections that clients opened ahead of need are not idle to Node: they would take the whole grace period.
      const cutUnused = setTimeout(
        () => {
          for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
        },
        Math.min(gracePeriod, unusedPeriod),
      )
      const cutAll = setTimeout(() => server.closeAllConnections(), gracePeriod)
      await closed
      clearTimeout(cutUnused)
      clearTimeout(cutAll)
    },
  }
}
