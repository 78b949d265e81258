import type { PluginContext } from '../plugin/index.ts'

/** For plugins that a command opens: what a person needs to know, the command says itself. */
export const quietContext: PluginContext = { logger: { debug() {}, info() {}, warn() {}, error() {} } }
