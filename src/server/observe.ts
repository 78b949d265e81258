import { randomUUID } from 'node:crypto'
import type { Middleware } from 'koa'
import { formatRepository } from '../hub/index.ts'
import { clientAddress } from './addresses.ts'
import type { Context, RequestState, ServerParts } from './context.ts'

/** A client's own id is kept if it can't do harm in a header or a log. */
const soundRequestId = /^[A-Za-z0-9._:/+=-]{1,128}$/

/** Begins and ends every request in one place: its id, metrics and one log line. */
export function observeRequests({ metrics, logger, settings, misses }: ServerParts): Middleware<RequestState> {
  return async (ctx, next) => {
    const started = performance.now()
    const given = ctx.get('x-request-id')
    ctx.state.id = soundRequestId.test(given) ? given : randomUUID()
    ctx.state.hub = { operation: 'other' }
    ctx.state.prefix = ''
    ctx.state.source = 'mirrorface'
    ctx.state.outcome = 'own'
    ctx.state.bytes = 0
    ctx.state.upstreamFailed = false
    ctx.set('X-Request-Id', ctx.state.id)
    metrics.requestStarted()
    const client = clientAddress(ctx.req, settings.trustsProxy) // a connection that is gone has no address
    const path = pathWithoutQuery(ctx.req.url ?? '')
    // `close` comes after the last byte, or when the connection broke.
    const closed = new Promise((resolve) => ctx.res.once('close', resolve))
    const answered = next()
    void Promise.allSettled([closed, answered]).then(() =>
      finish(ctx, client, path, (performance.now() - started) / 1000),
    )
    await answered
  }

  function finish(ctx: Context, client: string, path: string, seconds: number): void {
    const { hub, source, outcome, upstreamFailed } = ctx.state
    const repository = 'repository' in hub ? formatRepository(hub.repository) : undefined
    const bytes = ctx.method === 'HEAD' ? 0 : ctx.state.bytes
    const request = {
      method: ctx.method,
      status: ctx.res.statusCode,
      operation: hub.operation,
      repository,
      source,
      outcome,
      bytes,
      seconds,
      upstreamFailed,
    }
    metrics.requestFinished(request)
    if (outcome === 'fallback' && 'repository' in hub && ctx.res.statusCode < 400) misses.add(hub.repository, bytes)
    const fields = {
      request: ctx.state.id,
      client,
      ...request,
      seconds: Number(seconds.toFixed(6)),
      revision: 'revision' in hub ? hub.revision : undefined,
      path,
      aborted: ctx.res.writableFinished ? undefined : true,
      err: ctx.state.failure,
    }
    if (ctx.state.failure !== undefined && ctx.res.statusCode >= 500) logger.warn(fields, 'request failed')
    else logger.info(fields, 'request')
  }
}

/** A query may carry a signature or a token, so it is not logged. */
function pathWithoutQuery(url: string): string {
  const end = url.indexOf('?')
  return (end === -1 ? url : url.slice(0, end)).slice(0, 1000)
}
