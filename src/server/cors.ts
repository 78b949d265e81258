import type { Middleware } from 'koa'
import type { RequestState } from './context.ts'

/** What browsers may read of an answer: transformers.js needs it (hub-protocol §2). */
export const exposedHeaders =
  'X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash'

/** Everything here is readable by any origin, without credentials, as at the Hub. */
export function allowBrowsers(): Middleware<RequestState> {
  return async (ctx, next) => {
    ctx.set('Access-Control-Allow-Origin', '*')
    ctx.set('Access-Control-Expose-Headers', exposedHeaders)
    if (ctx.method === 'OPTIONS' && ctx.get('access-control-request-method') !== '') {
      ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, OPTIONS')
      ctx.set('Access-Control-Allow-Headers', ctx.get('access-control-request-headers') || '*')
      ctx.set('Access-Control-Max-Age', '86400')
      ctx.status = 204
      return
    }
    await next()
  }
}
