import { describeUpstream } from '../../test/conformance/index.ts'
import plugin from './index.ts'

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

for (const redirects of ['pass', 'follow'] as const) {
  describeUpstream(
    `hub, redirects: ${redirects}`,
    async (url) => await plugin.create(plugin.options.parse({ url, redirects, retries: 1 }), { logger: quiet }),
    { followsRedirects: redirects === 'follow' },
  )
}
