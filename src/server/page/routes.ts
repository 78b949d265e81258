import { createHash } from 'node:crypto'
import type { Router } from '@koa/router'
import { formatRepository, typeOfCollection } from '../../hub/index.ts'
import { readyAtOnce } from '../delivery/ready-reply.ts'
import { ownJson, ownReply } from '../own-reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { Reply } from '../reply.ts'
import type { Context, RequestState } from '../request-state.ts'
import type { ServerParts } from '../server-parts.ts'
import { pagePolicy, renderDocument, style } from './layout.ts'
import { renderOverview } from './overview.ts'
import { PageContent } from './page-content.ts'
import { renderRepository } from './repository-page.ts'

const contentSecurityPolicy = pagePolicy(createHash('sha256').update(style).digest('base64'))

/** The page that a colleague can open: read-only, without script, from what is kept in memory. */
export function addPage(
  router: Router<RequestState>,
  { library, misses, upstreams, metrics, settings, redact }: ServerParts,
): void {
  const content = new PageContent({
    library,
    misses,
    refreshAfter: settings.refreshAfter,
    redact,
  })
  /** What clients set as `HF_ENDPOINT`, whichever way this page was asked for. */
  const endpointOf = ({ mirror }: ReceivedRequest): string =>
    mirror.path.endsWith(settings.prefix) ? mirror.url : mirror.url + settings.prefix
  router.get('/', async (ctx) => {
    const page = renderOverview({
      catalogs: await content.storages(ctx.state.admission.library),
      misses: (await content.misses()).slice(0, 20),
      upstreams: upstreams.map(({ traits, state }) => ({ name: traits.name, state })),
      hits: (repository) => metrics.hitsOf(formatRepository(repository)),
      endpoint: endpointOf(ctx.state.request),
      at: new Date().toISOString(),
    })
    reply(ctx, pageReply(200, page))
  })
  router.get('/-/repositories/:collection/:name{/:rest}', async (ctx) => {
    const { collection = '', name = '', rest } = ctx.params
    const id = rest === undefined ? name : `${name}/${rest}`
    const type = typeOfCollection(collection)
    for (const { storage, catalog } of await content.storages(ctx.state.admission.library)) {
      const repository = catalog?.repositories.find((one) => one.type === type && one.id === id)
      if (repository === undefined) continue
      reply(ctx, pageReply(200, renderRepository(repository, storage, endpointOf(ctx.state.request))))
      return
    }
    const body = '<h1>This repository is not mirrored here</h1><p><a href="/">MirrorFace</a></p>'
    reply(ctx, pageReply(404, renderDocument('Not mirrored', body)))
  })
  // `/-/` is no user's name at the Hub, so nothing of the Hub's is hidden by this.
  router.get('/-/misses', async (ctx) => {
    reply(ctx, ownJson(200, { misses: await content.misses() }))
  })
}

function pageReply(status: number, page: string): Reply {
  return ownReply(status, page, [
    ['content-type', 'text/html; charset=utf-8'],
    ['content-security-policy', contentSecurityPolicy],
    ['referrer-policy', 'no-referrer'],
    ['cache-control', 'private, max-age=10'],
  ])
}

function reply({ state }: Context, made: Reply): void {
  state.reply = readyAtOnce(made, state.request)
}
