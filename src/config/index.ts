export { type ConfigSources, type FlagValues, type LoadedConfig, loadConfig, type Origin } from './load.ts'
export { type ListedRepository, readRepositoryList } from './repository-list.ts'
export { isSecretOption, secretsOf } from './secrets.ts'
export {
  type Config,
  defaultDirectory,
  type PluginReference,
  type Setting,
  type SettingName,
  settings,
} from './settings.ts'
