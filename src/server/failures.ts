import type { Middleware } from 'koa'
import { Failure, HubFailure } from '../hub/index.ts'
import type { Context, RequestState } from './context.ts'

/** Turns whatever is thrown into an answer of the Hub's own shape (hub-protocol §4). */
export function answerFailures(): Middleware<RequestState> {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      ctx.state.failure = error
      if (ctx.res.headersSent)
        ctx.res.destroy() // half an answer can't be taken back: cut it, so that nobody takes it for whole
      else writeFailure(ctx, error)
    }
  }
}

function writeFailure(ctx: Context, error: unknown): void {
  ctx.respond = true
  const failure =
    error instanceof Failure
      ? error
      : new Failure('InternalError', 500, 'MirrorFace failed to answer; its log says why')
  for (const name of [
    'Content-Length',
    'Content-Type',
    'ETag',
    'Content-Range',
    'Content-Disposition',
    'Accept-Ranges',
  ])
    ctx.remove(name)
  ctx.status = failure.status
  ctx.set('X-Error-Code', failure.code)
  ctx.set('X-Error-Message', headerSafe(failure.message))
  if (failure instanceof HubFailure && failure.commit !== undefined) ctx.set('X-Repo-Commit', failure.commit)
  ctx.set('Cache-Control', 'no-store')
  ctx.type = 'application/json'
  ctx.body = JSON.stringify({ error: failure.message })
}

/** A header's value is Latin-1 at most, without line breaks. */
export function headerSafe(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 500)
}
