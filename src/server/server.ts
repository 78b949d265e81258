import { createServer as createHttpServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../telemetry/logger.ts'
import { type CertificateFiles, followCertificate, readCertificate } from './certificate.ts'
import { holdContinue } from './expected-continue.ts'
import { listen } from './listen.ts'
import { createListener } from './listener.ts'
import { startMetricsServer } from './metrics-server.ts'
import { inTurn } from './pipelining.ts'
import type { Lifecycle, ServerParts } from './server-parts.ts'
import { refuseUnreadable } from './unreadable-requests.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly metricsPort: number | undefined
  /** Speaks HTTPS with this certificate; `undefined`: HTTP. */
  readonly certificate: CertificateFiles | undefined
  /** Connections at a time; more are closed at once. */
  readonly maxConnections: number
  /** Milliseconds that running answers get to end after a stop. */
  readonly gracePeriod: number
}

export interface RunningServer {
  readonly address: AddressInfo
  readonly metricsPort: number | undefined
  /** Refuses new requests, lets running answers end within the grace period, or until `cut`, then cuts the rest. */
  stop(cut?: AbortSignal): Promise<void>
}

/** Milliseconds that a client may take to send its request's head: a slow one holds a connection for no longer. */
const headersTimeout = 20_000

/** Milliseconds for a TLS handshake, in which a connection costs memory and has told nothing. */
const handshakeTimeout = 20_000

/** Speaks HTTPS where there is a certificate, which it follows until it is closed. */
async function createServer(
  options: ServerOptions,
  listener: RequestListener,
  files: CertificateFiles | undefined,
  logger: Logger,
): Promise<Server> {
  if (files === undefined) return createHttpServer(options, listener)
  const certificate = await readCertificate(files)
  const server = createHttpsServer({ ...options, ...certificate, handshakeTimeout }, listener)
  const following = followCertificate(server, files, certificate, logger)
  server.once('close', () => following[Symbol.dispose]())
  return server
}

export async function startServer(parts: ServerParts, options: ListenOptions): Promise<RunningServer> {
  const lifecycle: Lifecycle = { accepting: true }
  const server = await createServer(
    {
      headersTimeout,
      // Uploads pass through to the upstream and may take long; what we read ourselves is small.
      requestTimeout: 0,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 32 * 1024,
      noDelay: true,
    },
    inTurn(createListener(parts, lifecycle)),
    options.certificate,
    parts.logger,
  )
  holdContinue(server)
  refuseUnreadable(server)
  server.maxHeadersCount = 200
  server.maxConnections = options.maxConnections
  server.on('drop', () => parts.metrics.connectionDropped())
  const upstreamChecks = parts.upstreamChecks.start()
  const listening = await listen(server, options.host, options.port)
  const { registry } = parts.metrics
  const metricsServer =
    options.metricsPort === undefined
      ? undefined
      : await startMetricsServer(() => registry.metrics(), options.host, options.metricsPort)
  return {
    address: listening.address,
    metricsPort: metricsServer?.port,
    stop: async (cut) => {
      lifecycle.accepting = false
      upstreamChecks[Symbol.dispose]()
      const closed = listening.close(options.gracePeriod, cut)
      // Closed connections are not the end: those that were cut are yet to be logged.
      const recorded = closed.then(() => parts.recorder.settle())
      await Promise.all([recorded, parts.pullThrough?.close(options.gracePeriod, cut)])
      await metricsServer?.close()
      for (const upstream of parts.upstreams) await upstream.close()
      for (const storage of parts.library.storages) await storage.close()
      await parts.tracing?.stop()
    },
  }
}
