import { once } from 'node:events'
import type { Config } from '../config/index.ts'
import { startServer } from '../server/index.ts'
import { createLogger } from '../telemetry/logger.ts'
import { assembleServer } from './assemble-server.ts'

/** Runs the server until SIGTERM or SIGINT, then lets running answers end. */
export async function serve(config: Config): Promise<void> {
  const format = config.logFormat === 'auto' ? (process.stdout.isTTY ? 'text' : 'json') : config.logFormat
  const logger = createLogger(config.logLevel, format, process.stdout)
  const parts = await assembleServer(config, logger)
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
