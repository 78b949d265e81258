import { BaseCommand } from '../base-command.ts'
import { serve } from '../serve.ts'
import { settingFlags, settingValues } from '../setting-flags.ts'

export default class Serve extends BaseCommand {
  static override summary = 'Serve mirrored repositories, and pass everything else to the Hub.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --local-directory /data/mirror --port 8000 --offline',
    '<%= config.bin %> <%= command.id %> --config mirrorface.yaml',
    '<%= config.bin %> <%= command.id %> --redirects follow --pull-through',
  ]
  static override flags = settingFlags()

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve)
    await serve(await this.loadConfig(flags, settingValues(flags)))
    // Connections that are kept for the next question to the Hub would hold the process for a while.
    process.exit()
  }
}
