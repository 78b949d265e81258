import { Flags } from '@oclif/core'
import { logLevels } from '../../telemetry/logger.ts'
import { BaseCommand } from '../base-command.ts'
import { serve } from '../serve.ts'

export default class Serve extends BaseCommand {
  static override summary = 'Serve mirrored repositories, and pass everything else to the Hub.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --local-directory /data/mirror --port 8000 --offline',
    '<%= config.bin %> <%= command.id %> --config mirrorface.yaml',
  ]
  static override flags = {
    host: Flags.string({ description: 'address to listen on (MIRRORFACE_HOST)' }),
    port: Flags.string({ description: 'port to listen on (MIRRORFACE_PORT)' }),
    'metrics-port': Flags.string({ description: 'port of the metrics (MIRRORFACE_METRICS_PORT)' }),
    'upstream-url': Flags.string({ description: 'the Hub (MIRRORFACE_UPSTREAM_URL)' }),
    'public-url': Flags.string({ description: "the mirror's address as clients know it (MIRRORFACE_PUBLIC_URL)" }),
    offline: Flags.boolean({ description: 'ask no upstream (MIRRORFACE_OFFLINE)', allowNo: true }),
    delivery: Flags.option({
      options: ['stream', 'redirect', 'accel'] as const,
      description: 'how bytes reach clients (MIRRORFACE_DELIVERY)',
    })(),
    'log-level': Flags.option({ options: logLevels, description: 'how much to log (MIRRORFACE_LOG_LEVEL)' })(),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve)
    const config = await this.loadConfig(flags, {
      host: flags.host,
      port: flags.port,
      metricsPort: flags['metrics-port'],
      upstreamUrl: flags['upstream-url'],
      publicUrl: flags['public-url'],
      offline: flags.offline,
      delivery: flags.delivery,
      logLevel: flags['log-level'],
    })
    await serve(config)
  }
}
