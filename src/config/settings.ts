import type { z } from 'zod'
import type { PluginReference } from '../plugin/registry.ts'
import { accessSettings } from './access-settings.ts'
import { listeningSettings } from './listening-settings.ts'
import { serverSettings } from './server-settings.ts'
import { sourceSettings } from './source-settings.ts'

/** Every setting. The README's table is made from this. */
export const settings = { ...listeningSettings, ...sourceSettings, ...accessSettings, ...serverSettings } as const

export type SettingName = keyof typeof settings

type Optional =
  | 'storages'
  | 'upstreams'
  | 'publicUrl'
  | 'tlsCert'
  | 'tlsKey'
  | 'gcsBucket'
  | 'gcsEndpoint'
  | 'gcsMount'
  | 'upstreamToken'
  | 'followHosts'
  | 'spoolLimit'

/** The effective configuration. */
export type Config = {
  readonly [Name in Exclude<SettingName, Optional>]: z.output<(typeof settings)[Name]['schema']>
} & {
  readonly storages: readonly PluginReference[]
  readonly upstreams: readonly PluginReference[]
  readonly publicUrl: string | undefined
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly gcsBucket: string | undefined
  readonly upstreamToken: string | undefined
  readonly followHosts: readonly string[] | undefined
  readonly spoolLimit: number | undefined
  readonly gcsEndpoint: string | undefined
  readonly gcsMount: string | undefined
}
