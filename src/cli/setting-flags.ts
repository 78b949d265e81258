import { Flags } from '@oclif/core'
import type { FlagInput } from '@oclif/core/interfaces'
import { type FlagValues, type Setting, type SettingName, settings } from '../config/index.ts'

/** Settings that every command has as a flag. */
const global = new Set<SettingName>(['storages', 'localDirectory', 'gcsBucket', 'gcsMount', 'gcsEndpoint'])

const ofServer = (Object.entries(settings) as [SettingName, Setting][]).filter(
  ([name, { env }]) => env !== undefined && !global.has(name),
)

/** A flag for each setting that has an environment variable. What it may be is checked with the settings, in one place. */
export function settingFlags(): FlagInput {
  return Object.fromEntries(
    ofServer.map(([name, setting]) => {
      const description = `${setting.description.replaceAll('`', '')} (${setting.env})`
      if (typeof setting.default === 'boolean') return [flagName(name), Flags.boolean({ description, allowNo: true })]
      if (setting.list === true)
        return [flagName(name), Flags.string({ description, multiple: true, multipleNonGreedy: true })]
      return [flagName(name), Flags.string({ description })]
    }),
  )
}

export function settingValues(flags: Readonly<Record<string, unknown>>): FlagValues {
  return Object.fromEntries(ofServer.map(([name]) => [name, flags[flagName(name)]]))
}

function flagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
