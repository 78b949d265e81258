import { Router } from '@koa/router'
import Koa from 'koa'
import type { RequestState, ServerParts } from './context.ts'
import { allowBrowsers } from './cors.ts'
import { answerFailures } from './failures.ts'
import { checkStorages } from './health.ts'
import { answerHubRequests } from './hub-route.ts'
import { observeRequests } from './observe.ts'
import { addPage } from './page/routes.ts'

/** Whether the server takes requests; false from the moment it was told to stop. */
export interface Lifecycle {
  accepting: boolean
}

/** The Koa application, wired: parse → answer from what is mirrored → or fall back. */
export function createApp(parts: ServerParts, lifecycle: Lifecycle): Koa<RequestState> {
  const router = new Router<RequestState>()
  router.get('/health', (ctx) => {
    ctx.body = { status: 'ok' }
  })
  router.get('/ready', async (ctx) => {
    const storages = await checkStorages(parts.library.storages, parts.metrics)
    const ready = lifecycle.accepting && storages.every((storage) => storage.ready)
    ctx.status = ready ? 200 : 503
    ctx.body = { status: ready ? 'ready' : lifecycle.accepting ? 'not ready' : 'stopping', storages }
  })
  if (parts.settings.page) {
    addPage(router, parts)
    // `/-/` is no user's name at the Hub, so nothing of the Hub's is hidden by this.
    router.get('/-/misses', (ctx) => {
      ctx.body = { misses: parts.misses.list() }
    })
  }
  router.all(/.*/, answerHubRequests(parts))

  const app = new Koa<RequestState>()
  app.silent = true // answerFailures sees every error, and the access log reports it
  app.use(observeRequests(parts.recorder, parts.settings))
  app.use(allowBrowsers())
  app.use(answerFailures())
  app.use(router.routes())
  return app
}
