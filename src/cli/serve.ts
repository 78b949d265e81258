import cluster from 'node:cluster'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { assembleServer } from '../assembly/assemble-server.ts'
import { shareSealSecret } from '../assembly/share-seal-secret.ts'
import { type Config, secretsOf, startWarnings } from '../config/index.ts'
import type { PluginReference } from '../plugin/registry.ts'
import { secretOptionsOf } from '../plugin/secret-options.ts'
import {
  type CertificateFiles,
  cutByPrimary,
  exchangeMisses,
  MetricsGatherer,
  Primary,
  reportMetrics,
  startMetricsServer,
  startServer,
  WorkerFailedToStart,
} from '../server/index.ts'
import { type LogOutput, openLogOutput } from '../telemetry/log-output.ts'
import { createLogger, type LogFormat, type Logger } from '../telemetry/logger.ts'
import { passOn } from '../telemetry/pass-on.ts'
import { PrimaryMetrics } from '../telemetry/primary-metrics.ts'
import { Redactor } from '../telemetry/redact.ts'
import { WorkerMetrics } from '../telemetry/worker-metrics.ts'
import { packageVersion } from './package-version.ts'
import { processSignals } from './process-signals.ts'
import { onRuntimeWarning } from './runtime-warnings.ts'

/** Milliseconds beyond the grace period, or after it was cut, in which a server must have ended. */
const closingTime = 5_000
const closingTimeAfterCut = 2_000

/** Runs the server, alone or with workers, until SIGTERM or SIGINT; running responses then end. A second signal cuts them. */
export async function serve(config: Config): Promise<void> {
  const format = formatOf(config)
  const redactor = new Redactor(secretsOf(config))
  const output = openLogOutput()
  const logger = createLogger(config.logLevel, format, output, redactor)
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'an error that nothing caught')
    process.exit(1)
  })
  onRuntimeWarning((warning, isKnown) => logger[isKnown ? 'debug' : 'warn']({ err: warning }, 'warning of the runtime'))
  // Only where plugins run: the primary of several workers loads none.
  if (cluster.isWorker || config.workers === 1) await addPluginSecrets(config, redactor)
  if (cluster.isWorker) await serveAsWorker(config, { logger, redactor })
  else if (config.workers === 1) await serveAlone(config, { logger, redactor })
  else {
    writeForWorkers(format, output)
    await serveWithWorkers(config, logger)
  }
}

/** In a worker's environment: what `auto` means, since its output is a pipe wherever the primary writes to. No setting of a person's. */
const workerLogFormat = 'WORKER_LOG_FORMAT'

function formatOf({ logFormat }: Config): LogFormat {
  if (logFormat !== 'auto') return logFormat
  const isText = cluster.isWorker ? process.env[workerLogFormat] === 'text' : process.stdout.isTTY
  return isText ? 'text' : 'json'
}

interface Log {
  readonly logger: Logger
  readonly redactor: Redactor
}

async function addPluginSecrets({ storages, upstreams }: Config, redactor: Redactor): Promise<void> {
  for (const storage of storages) redactor.add((await secretOptionsOf('storage', storage)).values())
  for (const upstream of upstreams) redactor.add((await secretOptionsOf('upstream', upstream)).values())
}

async function serveAlone(config: Config, log: Log): Promise<void> {
  const { logger } = log
  const parts = await assembleServer(config, { ...log, version: packageVersion() })
  const server = await startServer(parts, { ...config, certificate: certificateOf(config) })
  announce(config, logger, server.address.port, server.metricsPort)
  processSignals.take(() =>
    logger.warn({}, 'SIGHUP restarts workers, and there are none: stop and start the server instead'),
  )
  await untilToldToStop(config, logger, processSignals.cut)
  await server.stop(processSignals.cut)
  logger.info({}, 'stopped')
}

async function serveAsWorker(config: Config, log: Log): Promise<void> {
  const { logger } = log
  const parts = await assembleServer(config, { ...log, version: packageVersion() })
  const reportAtTheEnd = reportMetrics(parts.metrics.registry)
  exchangeMisses(parts.misses)
  const server = await startServer(parts, { ...config, certificate: certificateOf(config), metricsPort: undefined })
  // A signal to the whole process group reaches workers too: what it means, and what a second one does, is the primary's.
  processSignals.take(() => undefined)
  const cut = cutByPrimary()
  await untilToldToStop(config, logger, cut)
  await server.stop(cut)
  await reportAtTheEnd()
  logger.info({}, 'stopped')
  const { worker } = cluster
  if (worker?.isConnected() !== true) return
  // This asks the primary first, so that connections it had handed over meanwhile are declined and given to
  // another worker; process.disconnect() would lose them.
  worker.disconnect()
  await Promise.race([once(worker, 'disconnect'), delay(closingTimeAfterCut)])
}

function certificateOf({ tlsCert, tlsKey }: Config): CertificateFiles | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : { tlsCert, tlsKey }
}

/** Each worker has pipes of its own to this process, which alone writes to the log, and knows whether it is a terminal. */
function writeForWorkers(format: LogFormat, output: LogOutput): void {
  process.env[workerLogFormat] = format
  cluster.setupPrimary({ stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const errors = openLogOutput(process.stderr)
  cluster.on('fork', ({ process: { stdout, stderr } }) => {
    if (stdout !== null) passOn(stdout, output)
    if (stderr !== null) passOn(stderr, errors)
  })
}

async function serveWithWorkers(config: Config, logger: Logger): Promise<void> {
  shareSealSecret(config)
  const ownMetrics = new PrimaryMetrics()
  const gatherer = new MetricsGatherer(new WorkerMetrics())
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers
  const { gracePeriod } = config
  const primary = new Primary({ workers, logger, gracePeriod, onRestart: () => ownMetrics.workerRestarted() })
  processSignals.take(() => primary.reload())
  processSignals.stop.addEventListener('abort', () => void primary.stop())
  processSignals.cut.addEventListener('abort', () => primary.cut())
  try {
    const port = await primary.start()
    if (port === undefined) return
    const render = async () => (await gatherer.render()) + (await ownMetrics.registry.metrics())
    const metricsServer = await startMetricsServer(render, config.host, config.metricsPort)
    announce(config, logger, port, metricsServer.port)
    await untilToldToStop(config, logger, processSignals.cut)
    await primary.stop()
    await metricsServer.close()
    logger.info({}, 'stopped')
  } catch (error) {
    if (!(error instanceof WorkerFailedToStart)) throw error
    process.exitCode = error.code
  } finally {
    await primary.stop()
  }
}

/** Options that say where a plugin looks. Others may be secrets, under whatever name a plugin gives them. */
const placeOptions = ['name', 'directory', 'bucket', 'prefix', 'account', 'container', 'region', 'endpoint', 'url']

function placeOf({ plugin, ...options }: PluginReference): Record<string, unknown> {
  return { plugin, ...Object.fromEntries(Object.entries(options).filter(([name]) => placeOptions.includes(name))) }
}

function announce(config: Config, logger: Logger, port: number, metricsPort: number | undefined): void {
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  const storages = config.storages.map(placeOf)
  const upstreams = config.upstreams.map(placeOf)
  logger.info(
    { port, metricsPort, workers: config.workers, storages, upstreams },
    `listening; clients set HF_ENDPOINT=${config.tlsCert === undefined ? 'http' : 'https'}://${host}:${port}${config.prefix}`,
  )
  for (const warning of startWarnings(config)) logger.warn({}, warning)
}

/** From then on the process ends in time, whatever does not. */
async function untilToldToStop(config: Config, logger: Logger, cut: AbortSignal): Promise<void> {
  const { stop } = processSignals
  if (!stop.aborted) await once(stop, 'abort')
  const { gracePeriod } = config
  logger.info({ signal: stop.reason, gracePeriod }, 'stopping: running answers may end')
  // The primary outlasts its workers, and they this period of their own.
  const margin = cluster.isPrimary && config.workers !== 1 ? 2 * closingTime : closingTime
  const end = () => {
    logger.fatal({}, 'something does not end: giving up on it')
    process.exit(1)
  }
  setTimeout(end, gracePeriod + margin).unref()
  const onCut = () => {
    setTimeout(end, closingTimeAfterCut * (margin / closingTime)).unref()
  }
  if (cut.aborted) onCut()
  else cut.addEventListener('abort', onCut)
}
