import { createHash } from 'node:crypto'
import type { Router } from '@koa/router'
import { formatRepository, typeOfCollection } from '../../hub/index.ts'
import { publicUrl } from '../addresses.ts'
import type { Context, RequestState, ServerParts } from '../context.ts'
import { pagePolicy, renderDocument, style } from './layout.ts'
import { renderOverview } from './overview.ts'
import { PageContent } from './page-content.ts'
import { renderRepository } from './repository-page.ts'

const contentSecurityPolicy = pagePolicy(createHash('sha256').update(style).digest('base64'))

/** The page that a colleague can open: read-only, without script, from what is kept in memory. */
export function addPage(
  router: Router<RequestState>,
  { library, misses, upstreams, metrics, settings }: ServerParts,
): void {
  const content = new PageContent(library, misses)
  const endpointOf = (ctx: Context) => publicUrl(ctx.req, settings.prefix, settings)
  router.get('/', async (ctx) => {
    const page = renderOverview({
      catalogs: await content.storages(),
      misses: content.misses(),
      upstreams,
      hits: (repository) => metrics.hitsOf(formatRepository(repository)),
      endpoint: endpointOf(ctx),
      at: new Date().toISOString(),
    })
    send(ctx, 200, page)
  })
  router.get('/-/repositories/:collection/:name{/:rest}', async (ctx) => {
    const { collection = '', name = '', rest } = ctx.params
    const id = rest === undefined ? name : `${name}/${rest}`
    const type = typeOfCollection(collection)
    for (const { storage, catalog } of await content.storages()) {
      const repository = catalog?.repositories.find((one) => one.type === type && one.id === id)
      if (repository === undefined) continue
      send(ctx, 200, renderRepository(repository, storage, endpointOf(ctx)))
      return
    }
    send(
      ctx,
      404,
      renderDocument('Not mirrored', '<h1>This repository is not mirrored here</h1><p><a href="/">MirrorFace</a></p>'),
    )
  })
}

function send(ctx: Context, status: number, page: string): void {
  ctx.status = status
  ctx.set({
    'Content-Security-Policy': contentSecurityPolicy,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'private, max-age=10',
  })
  ctx.type = 'text/html; charset=utf-8'
  ctx.body = page
}
