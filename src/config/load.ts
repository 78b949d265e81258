import { z } from 'zod'
import { UsageFailure } from '../hub/index.ts'
import type { PluginReference } from '../plugin/registry.ts'
import { closestName, didYouMean } from './closest-name.ts'
import { assertConsistent } from './consistency.ts'
import { readYaml } from './read-yaml.ts'
import type { Setting } from './setting.ts'
import { type Config, type SettingName, settings } from './settings.ts'
import { chooseStorages } from './storages.ts'

/** Values as flags gave them; `undefined`: the flag was not given. */
export type FlagValues = Readonly<Partial<Record<SettingName, unknown>>>

export interface ConfigSources {
  readonly flags: FlagValues
  readonly environment: NodeJS.ProcessEnv
  /** The YAML file; else `MIRRORFACE_CONFIG` names it. */
  readonly file?: string | undefined
}

export type Origin = 'flag' | 'environment' | 'file' | 'default'

type Values = Partial<Record<SettingName, unknown>>
type Origins = Readonly<Partial<Record<SettingName, Origin>>>

export interface LoadedConfig {
  readonly config: Config
  readonly origins: Origins
  readonly file: string | undefined
}

const names = Object.keys(settings) as SettingName[]
const variables = new Map(
  names.flatMap((name): [string, SettingName][] => {
    const { env } = settingOf(name)
    return env === undefined ? [] : [[env, name]]
  }),
)
const otherVariables = ['MIRRORFACE_CONFIG']

/** Behind a name that resembles none. */
const listed = '; mirrorface config lists them'

/** Flags over environment over file over defaults; whatever is wrong is a {@link UsageFailure} that names its place. */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const file = sources.file ?? sources.environment.MIRRORFACE_CONFIG
  const layers: readonly { origin: Origin; values: Map<SettingName, unknown>; nameOf(name: SettingName): string }[] = [
    { origin: 'flag', values: definedFlags(sources.flags), nameOf: flagName },
    {
      origin: 'environment',
      values: readEnvironment(sources.environment),
      nameOf: (name) => settingOf(name).env ?? name,
    },
    {
      origin: 'file',
      values: file === undefined ? new Map() : await readConfigFile(file),
      nameOf: (name) => `${file}: ${name}`,
    },
  ]
  const values: Values = {}
  const origins: Partial<Record<SettingName, Origin>> = {}
  for (const name of names) {
    values[name] = settingOf(name).default
    origins[name] = 'default'
    // From the weakest to the strongest, so that a wrong value is reported even where another overrides it.
    for (const layer of layers.toReversed()) {
      if (!layer.values.has(name)) continue
      values[name] = check(name, layer.values.get(name), layer.nameOf(name))
      origins[name] = layer.origin
    }
  }
  const placeOfStorages = layers.find(({ origin }) => origin === origins.storages)?.nameOf('storages') ?? 'storages'
  const storages = await chooseStorages(values, (name) => strength[origins[name] ?? 'default'], placeOfStorages)
  const config = complete(values, origins, storages)
  assertConsistent(config)
  return { config, origins, file }
}

/** The one upstream that most people have is given by simpler settings. */
function complete(values: Values, origins: Origins, storages: readonly PluginReference[]): Config {
  const upstreams = values.offline === true ? [] : (values.upstreams ?? [theHub(values)])
  return {
    ...(values as unknown as Config), // each value was checked by its own schema
    // Names of repositories and files are as secret as their content.
    page: origins.page === 'default' ? values.access === 'open' : values.page === true,
    storages,
    upstreams: (upstreams as PluginReference[]).map((upstream) => withoutXet(upstream, values)),
  }
}

function theHub({ upstreamUrl, redirects, upstreamToken, followHosts }: Values): unknown {
  return {
    plugin: 'hub',
    url: upstreamUrl,
    ...(redirects !== 'pass' && { redirects }),
    ...(upstreamToken !== undefined && { token: upstreamToken }),
    ...(followHosts !== undefined && { followHosts }),
  }
}

/** Content that is fetched by Xet passes this server by, and so would pickle files that it refuses. */
function withoutXet(upstream: PluginReference, { pickleFiles }: Values): PluginReference {
  return upstream.plugin === 'hub' && pickleFiles !== 'allow' ? { xet: false, ...upstream } : upstream
}

const strength: Readonly<Record<Origin, number>> = { default: 0, file: 1, environment: 2, flag: 3 }

function check(name: SettingName, value: unknown, place: string): unknown {
  const result = settingOf(name).schema.safeParse(value)
  if (result.success) return result.data
  throw new UsageFailure(
    `${place}: ${z
      .prettifyError(result.error)
      .replace(/^✖ /, '')
      .replaceAll(/\n\s*[→✖]?\s*/g, ' ')} (${settingOf(name).description})`,
  )
}

function readEnvironment(environment: NodeJS.ProcessEnv): Map<SettingName, unknown> {
  const values = new Map<SettingName, unknown>()
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('MIRRORFACE_') || value === undefined || isServiceLink(variable, value)) continue
    const name = variables.get(variable)
    // A template that fills in nothing means "not set"; of a list, "none".
    if (name !== undefined && value === '' && settingOf(name).list !== true) continue
    if (name !== undefined) values.set(name, value)
    else if (!otherVariables.includes(variable)) {
      throw new UsageFailure(
        `${variable} is not a setting${didYouMean(closestName(variable, [...variables.keys(), ...otherVariables]), listed)}`,
      )
    }
  }
  return values
}

/** Kubernetes announces a service named `mirrorface` to every pod beside it as `MIRRORFACE_PORT=tcp://…` and the like. */
function isServiceLink(variable: string, value: string): boolean {
  return (
    /_(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT_\d+_(?:TCP|UDP).*)$/.test(variable) || /^(?:tcp|udp):\/\//.test(value)
  )
}

async function readConfigFile(file: string): Promise<Map<SettingName, unknown>> {
  const content = (await readYaml(file)) ?? {}
  if (!(content instanceof Object) || Array.isArray(content))
    throw new UsageFailure(`${file}: expected settings as "name: value" lines`)
  const unknown = Object.keys(content).find((name) => !names.includes(name as SettingName))
  if (unknown !== undefined)
    throw new UsageFailure(`${file}: "${unknown}" is not a setting${didYouMean(closestName(unknown, names), listed)}`)
  return new Map(Object.entries(content)) as Map<SettingName, unknown>
}

function definedFlags(flags: FlagValues): Map<SettingName, unknown> {
  return new Map(Object.entries(flags).filter(([, value]) => value !== undefined)) as Map<SettingName, unknown>
}

function flagName(name: SettingName): string {
  return `--${settingOf(name).flag ?? name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function settingOf(name: SettingName): Setting {
  return settings[name]
}
