import { describeUpstream } from '../../test/conformance/index.ts'
import plugin from './index.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

describeUpstream('hub', async (url) => await plugin.create(plugin.options.parse({ url }), { logger: quiet }))
