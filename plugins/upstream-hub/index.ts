import { definePlugin } from 'mirrorface/plugin'
import { HubUpstream } from './hub-upstream.ts'
import { hubUpstreamOptions } from './options.ts'

export default definePlugin({
  kind: 'upstream',
  name: 'hub',
  options: hubUpstreamOptions,
  create: async (options, context) => new HubUpstream(options, context.logger),
})
