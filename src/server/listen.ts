import { once } from 'node:events'
import type { Server } from 'node:http'
import { Failure } from '../hub/index.ts'

/** Resolves when the server takes connections; rejects with what to do where it can't. */
export async function listen(server: Server, host: string, port: number): Promise<void> {
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
}

/** Takes no more requests, lets running answers end within `gracePeriod` milliseconds, and cuts the rest. */
export async function closeServer(server: Server, gracePeriod: number): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), gracePeriod)
  await closed
  clearTimeout(timer)
}
