import type { IncomingMessage } from 'node:http'
import { Router } from '@koa/router'
import Koa from 'koa'
import { Failure } from '../hub/index.ts'
import { admitRequests } from './admit-requests.ts'
import type { Arrival } from './arrival.ts'
import { readyAtOnce } from './delivery/ready-reply.ts'
import { answerable } from './observe/readiness.ts'
import { ownJson } from './own-reply.ts'
import { addPage } from './page/routes.ts'
import type { RequestState } from './request-state.ts'
import type { Lifecycle, ServerParts } from './server-parts.ts'
import { WhoAnswers } from './who-answers.ts'
import { writeReplies } from './write-replies.ts'

/** The Koa application: write what comes back ← let in ← route to who answers. */
export function createApp(
  parts: ServerParts,
  lifecycle: Lifecycle,
  arrivals: WeakMap<IncomingMessage, Arrival>,
): Koa<RequestState> {
  const router = new Router<RequestState>()
  router.get('/health', (ctx) => {
    ctx.state.reply = readyAtOnce(ownJson(200, { status: 'ok' }), ctx.state.request)
  })
  router.get('/ready', async (ctx) => {
    const storages = await parts.readiness.storages()
    const upstreams = parts.readiness.upstreams()
    const { status, canAnswer, down } = answerable(lifecycle.accepting, storages, upstreams)
    const body = { status, down, storages, upstreams }
    ctx.state.reply = readyAtOnce(ownJson(canAnswer ? 200 : 503, body), ctx.state.request)
  })
  if (parts.settings.page) addPage(router, parts)
  const whoAnswers = new WhoAnswers(parts)
  router.all(/.*/, async (ctx) => {
    const { request, admission } = ctx.state
    if (admission.kind === 'own') throw new Failure('MethodNotAllowed', 405, 'this address is only read')
    ctx.state.reply = await whoAnswers.answer(request, admission)
  })

  const app = new Koa<RequestState>()
  app.silent = true // writeReplies sees every error, and the access log has it
  app.use(writeReplies(parts, lifecycle, arrivals))
  app.use(admitRequests(parts))
  app.use(router.routes())
  return app
}
