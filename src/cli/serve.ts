import cluster from 'node:cluster'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { AggregatorRegistry } from 'prom-client'
import { assembleServer } from '../assembly/assemble-server.ts'
import { shareSealSecret } from '../assembly/share-seal-secret.ts'
import type { Config } from '../config/index.ts'
import { exchangeMisses, Primary, startMetricsServer, startServer, WorkerFailedToStart } from '../server/index.ts'
import { openLogOutput } from '../telemetry/log-output.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { PrimaryMetrics } from '../telemetry/primary-metrics.ts'
import { packageVersion } from './package-version.ts'
import { onRuntimeWarning } from './runtime-warnings.ts'

/** Runs the server, alone or with workers, until SIGTERM or SIGINT; running answers then end. */
export async function serve(config: Config): Promise<void> {
  const format = config.logFormat === 'auto' ? (process.stdout.isTTY ? 'text' : 'json') : config.logFormat
  const logger = createLogger(config.logLevel, format, openLogOutput(config.workers !== 1))
  onRuntimeWarning((warning, isKnown) => logger[isKnown ? 'debug' : 'warn']({ err: warning }, 'warning of the runtime'))
  if (config.workers === 1 || cluster.isWorker) await serveAlone(config, logger)
  else await serveWithWorkers(config, logger)
}

async function serveAlone(config: Config, logger: Logger): Promise<void> {
  const parts = await assembleServer(config, logger, packageVersion())
  if (cluster.isWorker) {
    AggregatorRegistry.setRegistries([parts.metrics.registry])
    new AggregatorRegistry() // answers the primary when it gathers metrics
    exchangeMisses(parts.misses)
  }
  const server = await startServer(parts, { ...config, metricsPort: cluster.isWorker ? undefined : config.metricsPort })
  if (!cluster.isWorker) announce(config, logger, server.address.port, server.metricsPort)
  process.on('SIGHUP', () => {
    if (!cluster.isWorker)
      logger.warn({}, 'SIGHUP restarts workers, and there are none: stop and start the server instead')
  })
  await untilToldToStop(config, logger)
  await server.stop()
  logger.info({}, 'stopped')
  // The channel to the primary would keep the process alive. This asks the primary first, so that connections it
  // had handed over meanwhile are declined and given to another worker; process.disconnect() would lose them.
  cluster.worker?.disconnect()
}

async function serveWithWorkers(config: Config, logger: Logger): Promise<void> {
  shareSealSecret(config)
  const metrics = new PrimaryMetrics()
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  const primary = new Primary({ workers, logger, onRestart: () => metrics.workerRestarted() })
  const aggregator = new AggregatorRegistry()
  let port: number
  try {
    port = await primary.start()
  } catch (error) {
    if (!(error instanceof WorkerFailedToStart)) throw error
    process.exitCode = error.code
    await primary.stop()
    return
  }
  const metricsServer = await startMetricsServer(
    async () => (await aggregator.clusterMetrics()) + (await metrics.registry.metrics()),
    config.host,
    config.metricsPort,
  )
  announce(config, logger, port, metricsServer.port)
  process.on('SIGHUP', () => void primary.restart())
  await untilToldToStop(config, logger)
  await primary.stop()
  await metricsServer.close()
  logger.info({}, 'stopped')
}

function announce(config: Config, logger: Logger, port: number, metricsPort: number | undefined): void {
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  const upstreams = config.upstreams.map(({ plugin, url }) => ({ plugin, url }))
  logger.info(
    { port, metricsPort, workers: config.workers, storages: config.storages, upstreams },
    `listening; clients set HF_ENDPOINT=http://${host}:${port}${config.prefix}`,
  )
}

async function untilToldToStop(config: Config, logger: Logger): Promise<void> {
  const [signal] = await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  logger.info({ signal: signal ?? 'signal', gracePeriod: config.gracePeriod }, 'stopping: running answers may end')
}
