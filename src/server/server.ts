import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Failure } from '../hub/index.ts'
import { createApp, type Lifecycle } from './app.ts'
import type { ServerParts } from './context.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly metricsPort: number | undefined
  /** Milliseconds that running answers get to end after a stop. */
  readonly gracePeriod: number
}

export interface RunningServer {
  readonly address: AddressInfo
  readonly metricsAddress: AddressInfo | undefined
  /** Refuses new requests, lets running answers end within the grace period, then cuts the rest. */
  stop(): Promise<void>
}

/** Milliseconds that a client may take to send its request's head: a slow one holds a connection for no longer. */
const headersTimeout = 20_000

export async function startServer(parts: ServerParts, options: ListenOptions): Promise<RunningServer> {
  const lifecycle: Lifecycle = { accepting: true }
  const handle = createApp(parts, lifecycle).callback()
  const server = createServer(
    {
      headersTimeout,
      // Uploads pass through to the upstream and may take long; what we read ourselves is small.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
    },
    (request, response) => {
      if (!lifecycle.accepting) response.setHeader('Connection', 'close')
      void handle(request, response)
    },
  )
  server.maxHeadersCount = 200
  const metricsServer = options.metricsPort === undefined ? undefined : createMetricsServer(parts)
  await listen(server, options.host, options.port)
  if (metricsServer !== undefined) await listen(metricsServer, options.host, options.metricsPort ?? 0)
  return {
    address: server.address() as AddressInfo,
    metricsAddress: metricsServer?.address() as AddressInfo | undefined,
    stop: async () => {
      lifecycle.accepting = false
      await closeServer(server, options.gracePeriod)
      if (metricsServer !== undefined) await closeServer(metricsServer, 0)
      for (const upstream of parts.upstreams) await upstream.close()
      for (const storage of parts.library.storages) await storage.close()
    },
  }
}

function createMetricsServer({ metrics, logger }: ServerParts): Server {
  return createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('The metrics are at /metrics\n')
      return
    }
    metrics.registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': metrics.registry.contentType }).end(text),
      (error: unknown) => {
        logger.error({ err: error }, 'metrics failed')
        response.writeHead(500).end()
      },
    )
  })
}

async function listen(server: Server, host: string, port: number): Promise<void> {
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

async function closeServer(server: Server, gracePeriod: number): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), gracePeriod)
  await closed
  clearTimeout(timer)
}
