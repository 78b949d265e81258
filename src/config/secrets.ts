import { isSecretName } from '../telemetry/redact.ts'
import type { Setting } from './setting.ts'
import { type Config, type SettingName, settings } from './settings.ts'

/** Every secret of a configuration, so that none of them reaches a log, wherever an error has picked it up. */
export function secretsOf(config: Config): string[] {
  const secrets = new Set<string>()
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][])
    collect(config[name], setting.secret === true && typeof config[name] === 'string', secrets)
  return [...secrets]
}

function collect(value: unknown, isSecret: boolean, secrets: Set<string>): void {
  if (typeof value === 'string') {
    if (isSecret) secrets.add(value)
    else for (const part of credentialsOf(value)) secrets.add(part)
  } else if (value instanceof Object)
    for (const [name, inner] of Object.entries(value))
      collect(inner, isSecret || (!Array.isArray(value) && isSecretOption(name)), secrets)
}

/** An option's name says more than a log field's: a field `key` names an object of a storage. */
export function isSecretOption(name: string): boolean {
  return isSecretName(name) || /key$/i.test(name)
}

function credentialsOf(text: string): string[] {
  if (!text.includes('@') || !URL.canParse(text)) return []
  const { username, password } = new URL(text)
  return [password, decodeURIComponent(password), ...(password === '' ? [username] : [])].filter((part) => part !== '')
}
