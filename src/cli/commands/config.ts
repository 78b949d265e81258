import { Flags } from '@oclif/core'
import { stringify } from 'yaml'
import { loadConfig, type SettingName, settings } from '../../config/index.ts'
import { formatTable } from '../format.ts'
import { OneShotCommand } from '../one-shot-command.ts'

const hidden = '(hidden)'

export default class Config extends OneShotCommand {
  static override summary = 'Print the effective configuration, and where each value comes from.'
  static override description = 'Secrets are hidden. Flags, then the environment, then the file, then defaults count.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --config mirrorface.yaml --json',
  ]
  static override flags = {
    json: Flags.boolean({ description: 'print the result as JSON' }),
    yaml: Flags.boolean({ description: 'print a file that --config takes', exclusive: ['json'] }),
  }

  protected async perform(): Promise<void> {
    const { flags } = await this.parse(Config)
    const own = {
      localDirectory: flags['local-directory'],
      gcsBucket: flags['gcs-bucket'],
      gcsMount: flags['gcs-mount'],
      gcsEndpoint: flags['gcs-endpoint'],
    }
    const { config, origins } = await loadConfig({ flags: own, environment: process.env, file: flags.config })
    const names = Object.keys(settings) as SettingName[]
    const isDerived = (name: SettingName) => origins[name] === 'default' && !('default' in settings[name])
    const shown = names.map((name) => ({
      name,
      value: 'secret' in settings[name] && config[name] !== undefined ? hidden : withoutSecrets(config[name]),
      // Storages and upstreams that nobody listed are made of the simpler settings.
      origin: isDerived(name) && config[name] !== undefined ? 'derived' : origins[name],
    }))
    if (flags.json)
      this.printJson(Object.fromEntries(shown.map(({ name, value, origin }) => [name, { value, origin }])))
    else if (flags.yaml) {
      const given = shown.filter(({ origin }) => origin !== 'default' && origin !== 'derived')
      this.print(stringify(Object.fromEntries(given.map(({ name, value }) => [name, value]))).trimEnd())
    } else {
      const rows = shown
        .filter(({ value }) => value !== undefined)
        .map(({ name, value, origin }) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
          origin ?? '',
        ])
      this.print(formatTable(['SETTING', 'VALUE', 'FROM'], rows))
    }
  }
}

/** Options of plugins may hold secrets too. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (!(value instanceof Object)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      /token|secret|password|key$/i.test(key) ? hidden : withoutSecrets(inner),
    ]),
  )
}
