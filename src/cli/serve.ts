import { once } from 'node:events'
import proxyAddr from 'proxy-addr'
import type { Config } from '../config/index.ts'
import { Failure, UsageFailure } from '../hub/index.ts'
import { Library } from '../mirror/index.ts'
import type { PluginContext, Storage, Upstream } from '../plugin/index.ts'
import { openStorage, openUpstream } from '../plugin/registry.ts'
import { BufferPool, FileDelivery, type ServerParts, startServer } from '../server/index.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { packageVersion } from './package-version.ts'

/** Runs the server until SIGTERM or SIGINT, then lets running answers end. */
export async function serve(config: Config): Promise<void> {
  const format = config.logFormat === 'auto' ? (process.stdout.isTTY ? 'text' : 'json') : config.logFormat
  const logger = createLogger(config.logLevel, format, process.stdout)
  const parts = await assemble(config, logger)
  const server = await startServer(parts, {
    host: config.host,
    port: config.port,
    metricsPort: config.metricsPort,
    gracePeriod: config.gracePeriod,
  })
  const { port } = server.address
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  logger.info(
    {
      port,
      metricsPort: server.metricsAddress?.port,
      storages: config.storages,
      upstreams: config.upstreams.map(({ plugin, url }) => ({ plugin, url })),
    },
    `listening; clients set HF_ENDPOINT=http://${host}:${port}${config.prefix}`,
  )
  const [signal] = await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  logger.info({ signal: signal ?? 'signal', gracePeriod: config.gracePeriod }, 'stopping: running answers may end')
  await server.stop()
  logger.info({}, 'stopped')
}

async function assemble(config: Config, logger: Logger): Promise<ServerParts> {
  const metrics = new Metrics(packageVersion())
  const context: PluginContext = { logger }
  const guard = {
    timeout: config.storageTimeout,
    retries: 2,
    observe: metrics.storageOperation.bind(metrics),
  }
  const storages: Storage[] = []
  for (const reference of config.storages) storages.push(await openStorage(reference, context, guard))
  const upstreams: Upstream[] = []
  for (const reference of config.upstreams) upstreams.push(await openUpstream(reference, context))
  const library = new Library(storages, {
    memory: config.manifestMemory,
    refreshAfter: config.refreshAfter,
    onStorageFailure: (storage, error) => {
      const code = error instanceof Failure ? error.code : 'unknown'
      metrics.storageFailed(storage.name, code)
      logger.error({ storage: storage.name, code, err: error }, 'storage failed')
    },
  })
  const settings = {
    prefix: config.prefix,
    publicUrl: config.publicUrl,
    trustsProxy: compileTrust(config.trustedProxies),
  }
  return {
    library,
    upstreams,
    delivery: new FileDelivery(new BufferPool(config.deliveryMemory), {
      mode: config.delivery,
      accelPrefix: config.accelPrefix,
    }),
    metrics,
    logger,
    settings,
  }
}

function compileTrust(proxies: readonly string[]): (address: string, hop: number) => boolean {
  try {
    return proxyAddr.compile([...proxies])
  } catch (error) {
    throw new UsageFailure(`trustedProxies: ${(error as Error).message}`, { cause: error })
  }
}
