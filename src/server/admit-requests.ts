import type { Middleware } from 'koa'
import { Failure, type Method, quoted } from '../hub/index.ts'
import { bodyOfRequest } from '../plugin/index.ts'
import { assertNoLoop } from './answers/upstream-request.ts'
import { hostOf, isMethod } from './arrival.ts'
import { readyAtOnce } from './delivery/ready-reply.ts'
import { sendContinue } from './expected-continue.ts'
import type { Client } from './gate/client.ts'
import { mirrorAddress } from './mirror-address.ts'
import { preflightReply } from './preflight.ts'
import type { RequestState } from './request-state.ts'
import type { ServerParts } from './server-parts.ts'

/** Lets requests in, or not: nothing behind it sees a request that the gate did not admit. */
export function admitRequests({ gate, logger, pseudonym, settings }: ServerParts): Middleware<RequestState> {
  return async (ctx, next) => {
    const { begun, parsed, refusal } = ctx.state.arrival
    const { method } = begun
    if (method === 'OPTIONS') {
      if (ctx.req.url === '*') gate.assertHost(hostOf(ctx.req))
      else if (refusal !== undefined) throw refusal
      ctx.state.reply = readyAtOnce(preflightReply(ctx.req.headers), { method, headers: ctx.req.headers })
      return
    }
    if (!isMethod(method)) throw new Failure('MethodNotAllowed', 405, `${quoted(method)} is not a method of the Hub's`)
    if (refusal !== undefined || parsed === undefined) throw refusal
    const { headers } = ctx.req
    assertNoLoop(headers, pseudonym)
    const gone = new AbortController()
    ctx.res.once('close', () => gone.abort(clientGone))
    const { target, prefix } = parsed
    const client = gate.identify(headers, begun.client)
    const body = bodyMatters(method) ? bodyOfRequest(ctx.req, () => sendContinue(ctx.res)) : undefined
    const admission = await gate.admit({
      id: begun.id,
      method,
      target,
      client,
      body,
      contentType: headers['content-type'],
      contentEncoding: headers['content-encoding'],
      host: hostOf(ctx.req),
      origin: headers.origin,
      signal: gone.signal,
    })
    ctx.state.admission = admission
    if (logger.debug()) logger.debug({ request: begun.id, kind: admission.kind, client: nameOf(client) }, 'admitted')
    ctx.state.request = {
      id: begun.id,
      method,
      target,
      client,
      headers,
      body: admission.body,
      mirror: mirrorAddress(ctx.req, prefix, settings),
      signal: gone.signal,
    }
    // The router sees the canonical path only.
    ctx.newRouterPath = target.pathname
    await next()
  }
}

/**
 * Whether a body means something. That of a GET or HEAD does not, and an upstream that reads none would take it for the
 * next request on a connection which other clients share (RFC 9110 §9.3.1): it goes nowhere, and is read past.
 */
function bodyMatters(method: Method): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

/** For the log: what the client brought, never a credential. */
function nameOf(client: Client): string {
  switch (client.kind) {
    case 'none':
      return 'without a credential'
    case 'hub':
      return 'with a token of the Hub'
    case 'own':
      return `with the token "${client.accessToken.name}" of this mirror`
    case 'other':
      return 'with an unknown credential, which counts as none'
  }
}

/** Abort reason shared by all requests: creating an Error with its stack for each is expensive. */
const clientGone = new Error('the client has gone, or has everything')
