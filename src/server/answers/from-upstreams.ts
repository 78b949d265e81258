import { Failure, formatRepository, HubFailure, repositoryNotFound, revisionNotFound } from '../hub/index.ts'
import type { ReadableLibrary } from './access.ts'
import { clientAddress, publicUrl } from './addresses.ts'
import type { Context, ServerParts } from './context.ts'

/** No upstream answered. */
export class UpstreamUnavailable extends Failure {
  constructor(status: number, message: string) {
    super('UpstreamUnavailable', status, message)
  }
}

/** Asks the upstreams in order; what none answers becomes an error of the Hub's own shape. */
export async function fallBack(ctx: Context, parts: ServerParts, library: ReadableLibrary): Promise<void> {
  const { upstreams, settings, logger, access, tracing } = parts
  if (upstreams.length === 0) throw await offlineFailure(ctx, library)
  ctx.state.outcome = 'fallback'
  const gone = new AbortController()
  ctx.res.once('close', () => gone.abort())
  ctx.respond = false
  const exchange = {
    id: ctx.state.id,
    request: ctx.req,
    response: ctx.res,
    target: (ctx.req.url ?? '/').slice(ctx.state.prefix.length) || '/',
    publicUrl: publicUrl(ctx.req, ctx.state.prefix, settings),
    hub: ctx.state.hub,
    clientAddress: clientAddress(ctx.req, settings.trustsProxy),
    signal: gone.signal,
  }
  // A token of this mirror's own is none of the Hub's business.
  if (access.ownsTokens) delete ctx.req.headers.authorization
  const reasons: string[] = []
  let status = 502
  for (const upstream of upstreams) {
    const ask = () => upstream.forward(exchange)
    const outcome = await (tracing?.asking(upstream.name, ctx.req.headers, ask) ?? ask())
    ctx.state.source = upstream.name
    if (outcome.kind === 'forwarded') {
      ctx.state.bytes = outcome.bytes
      ctx.state.upstreamFailed = !outcome.complete || outcome.status >= 500
      return
    }
    reasons.push(outcome.reason)
    status = outcome.status
    if (outcome.retryAfter !== undefined) ctx.set('Retry-After', String(outcome.retryAfter))
    logger.warn({ request: ctx.state.id, upstream: upstream.name, reason: outcome.reason }, 'upstream declined')
  }
  ctx.state.upstreamFailed = true
  ctx.state.source = 'none'
  const subject = 'repository' in ctx.state.hub ? formatRepository(ctx.state.hub.repository) : 'this'
  throw new UpstreamUnavailable(
    status,
    `${subject} is not mirrored here, and the upstream did not answer: ${reasons.join('; ')}`,
  )
}

/** Without an upstream: what the Hub would say if only the mirrored repositories existed. */
async function offlineFailure(ctx: Context, library: ReadableLibrary): Promise<Failure> {
  const { hub } = ctx.state
  if (!('repository' in hub)) {
    return new HubFailure('Offline', 503, 'this mirror is offline, and serves mirrored repositories only')
  }
  if (hub.operation === 'auth-check' && (await library.has(hub.repository)))
    return new HubFailure('Offline', 503, 'this mirror is offline and can check no access')
  const revision = 'revision' in hub ? (hub.revision ?? 'main') : 'main'
  if ((await library.find(hub.repository, revision)) !== undefined) {
    const what = hub.operation === 'xet-read-token' ? 'Xet transfers' : hub.operation
    const isFile = hub.operation === 'resolve' || hub.operation === 'raw' || hub.operation === 'resolve-cache'
    if (isFile)
      return new HubFailure(
        'EntryNotFound',
        404,
        `Entry not found: ${hub.path} was left out when ${formatRepository(hub.repository)} was mirrored, and this mirror is offline`,
      )
    return new HubFailure(
      'Offline',
      404,
      `this mirror is offline, and has no ${what} for ${formatRepository(hub.repository)}`,
    )
  }
  return (await library.has(hub.repository))
    ? revisionNotFound(hub.repository, revision)
    : repositoryNotFound(hub.repository)
}
