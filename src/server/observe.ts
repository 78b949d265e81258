import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'
import { clientAddress } from './addresses.ts'
import type { RequestState, ServerSettings } from './context.ts'
import { loggedPath, type RequestRecorder } from './request-recorder.ts'

/** A client's own id is kept if it can't do harm in a header or a log. */
const soundRequestId = /^[A-Za-z0-9._:/+=-]{1,128}$/

/** The request's id: the client's own, or a new one. */
export function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && soundRequestId.test(given) ? given : randomUUID()
}

/** Begins every request with its state, and has it recorded at its end. */
export function observeRequests(recorder: RequestRecorder, settings: ServerSettings): Middleware<RequestState> {
  return async (ctx, next) => {
    const started = performance.now()
    const { state } = ctx
    state.id = requestIdOf(ctx.req)
    state.hub = { operation: 'other' }
    state.prefix = ''
    state.source = 'mirrorface'
    state.outcome = 'own'
    state.bytes = 0
    state.upstreamFailed = false
    ctx.set('X-Request-Id', state.id)
    const trace = recorder.began(ctx.req)
    const client = clientAddress(ctx.req, settings.trustsProxy) // a connection that is gone has no address
    const path = loggedPath(ctx.req.url ?? '')
    // `close` comes after the last byte, or when the connection broke.
    const closed = new Promise((resolve) => ctx.res.once('close', resolve))
    const answered = trace === undefined ? next() : trace.run(next)
    void Promise.allSettled([closed, answered]).then(() =>
      recorder.ended(
        {
          id: state.id,
          client,
          method: ctx.method,
          path,
          hub: state.hub,
          source: state.source,
          outcome: state.outcome,
          status: ctx.res.statusCode,
          bytes: ctx.method === 'HEAD' ? 0 : state.bytes,
          seconds: (performance.now() - started) / 1000,
          upstreamFailed: state.upstreamFailed,
          aborted: !ctx.res.writableFinished,
          failure: state.failure,
        },
        trace,
      ),
    )
    await answered
  }
}
