import { Flags } from '@oclif/core'
import { stringify } from 'yaml'
import { isSecretOption, type Setting, type SettingName, settings } from '../../config/index.ts'
import { secretOptionsOf } from '../../plugin/secret-options.ts'
import { hidden, Redactor } from '../../telemetry/redact.ts'
import { formatTable } from '../format.ts'
import { OneShotCommand } from '../one-shot-command.ts'

export default class Config extends OneShotCommand {
  static override summary = 'Print the effective configuration, and where each value comes from.'
  static override description =
    'Secrets are hidden; --yaml leaves them out. Flags, then the environment, then the file, then defaults count.'
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
    const { config, origins } = await this.loadConfigWithOrigins(flags)
    const redactor = new Redactor()
    // A plugin that cannot be loaded is another command's to complain of.
    for (const kind of ['storage', 'upstream'] as const)
      for (const reference of config[`${kind}s`])
        redactor.add((await secretOptionsOf(kind, reference).catch(() => new Map<string, string>())).values())
    const names = Object.keys(settings) as SettingName[]
    const isDerived = (name: SettingName) => origins[name] === 'default' && !('default' in settings[name])
    const shown = names.map((name) => ({
      name,
      value: 'secret' in settings[name] && config[name] !== undefined ? hidden : redacted(config[name], redactor),
      // Storages and upstreams that nobody listed are made of the simpler settings.
      origin: isDerived(name) && config[name] !== undefined ? 'derived' : origins[name],
    }))
    if (flags.json)
      this.printJson(Object.fromEntries(shown.map(({ name, value, origin }) => [name, { value, origin }])))
    else if (flags.yaml) {
      const given = shown.filter(({ origin }) => origin !== 'default' && origin !== 'derived')
      const omitted: string[] = []
      const kept = given.flatMap(({ name, value }) => {
        const rest = withoutHidden(value, name, omitted)
        return rest === undefined ? [] : [[name, rest] as const]
      })
      if (kept.length > 0) this.print(stringify(Object.fromEntries(kept)).trimEnd())
      for (const place of omitted) this.print(commentOn(place))
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

/** Options of plugins may hold secrets too, and URLs may hold credentials. */
function redacted(value: unknown, redactor: Redactor): unknown {
  if (typeof value === 'string') return redactor.redact(value)
  if (Array.isArray(value)) return value.map((inner) => redacted(inner, redactor))
  if (!(value instanceof Object)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, isSecretOption(key) ? hidden : redacted(inner, redactor)]),
  )
}

/** What a file can hold: where a secret stood, nothing does, for `(hidden)` would be taken for the secret. */
function withoutHidden(value: unknown, place: string, omitted: string[]): unknown {
  if (typeof value === 'string' && value.includes(hidden)) {
    omitted.push(place)
    return undefined
  }
  if (Array.isArray(value)) return value.map((inner, index) => withoutHidden(inner, `${place}[${index}]`, omitted))
  if (!(value instanceof Object)) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, withoutHidden(inner, `${place}.${key}`, omitted)])
  return Object.fromEntries(entries.filter(([, inner]) => inner !== undefined))
}

function commentOn(place: string): string {
  const setting: Setting | undefined = Object.entries(settings).find(([name]) => name === place)?.[1]
  const advice = setting?.env === undefined ? 'write it here' : `set ${setting.env}, or write it here`
  return `# ${place} is left out, for it holds a secret: ${advice}`
}
