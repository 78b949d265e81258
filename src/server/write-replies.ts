import type { IncomingMessage } from 'node:http'
import type { Middleware } from 'koa'
import { HubFailure } from '../hub/index.ts'
import { hasBody } from '../plugin/index.ts'
import { type Arrival, isFramingFaulty, isMethod } from './arrival.ts'
import { cutBy } from './delivery/cut.ts'
import { type ReadyReply, readyAtOnce } from './delivery/ready-reply.ts'
import type { Recipient, Written } from './delivery/reply-writer.ts'
import { isHeld } from './expected-continue.ts'
import { failureReply } from './failure-reply.ts'
import { mirrorAddress } from './mirror-address.ts'
import { clientClosedRequest, unanswered } from './observe/request-recorder.ts'
import type { Context, RequestState } from './request-state.ts'
import type { Lifecycle, ServerParts } from './server-parts.ts'

/** What of a body may be left to read past, in bytes, rather than close the connection behind the reply. */
const mostReadPast = 1024 * 1024

/** Writes what the stages behind it reply, whatever they throw included, and has every request recorded at its end. */
export function writeReplies(
  parts: ServerParts,
  lifecycle: Lifecycle,
  arrivals: WeakMap<IncomingMessage, Arrival>,
): Middleware<RequestState> {
  return async (ctx, next) => {
    ctx.respond = false // this stage writes, not Koa
    const arrival = arrivals.get(ctx.req)
    if (arrival === undefined) throw new TypeError('a request that has not come through the listener')
    ctx.state.arrival = arrival
    const { begun } = arrival
    // `close` comes after the last byte, or when the connection broke.
    const closed = new Promise((resolve) => ctx.res.once('close', resolve))
    const answer = (): Promise<Outcome> => respond(ctx, next, parts, lifecycle)
    const { ready, written } = await (begun.trace === undefined ? answer() : begun.trace.run(answer))
    if (!ctx.res.closed) await closed
    parts.recorder.end(begun, {
      source: ready.source,
      outcome: ready.outcome,
      status: written.status,
      bytes: written.bytes,
      sourceFailed: written.sourceFailed,
      aborted: !ctx.res.writableFinished,
      failure: written.failure ?? cutBy(ctx.res) ?? ready.failure,
    })
  }
}

interface Outcome {
  readonly ready: Pick<ReadyReply, 'source' | 'outcome' | 'failure'>
  readonly written: Written
}

/** Of a request that nobody waits for any more: its client went, or this server cut it. */
function left({ res }: Context): Outcome {
  const failure = cutBy(res)
  const status = failure?.status ?? clientClosedRequest
  return { ready: unanswered, written: { status, bytes: 0, failure, sourceFailed: false } }
}

async function respond(
  ctx: Context,
  next: () => Promise<void>,
  parts: ServerParts,
  lifecycle: Lifecycle,
): Promise<Outcome> {
  let ready = await replyOf(ctx, next)
  // Nobody is left to be told.
  if (ctx.res.destroyed) {
    await discard(ready)
    return left(ctx)
  }
  const to = recipient(ctx, parts, lifecycle)
  let written: Written
  try {
    written = await parts.writer.write(ready, to, ctx.res)
  } catch (error) {
    // A head that can't be written: a header of an upstream's that Node refuses, or a mistake of ours.
    ready = failed(ctx, error)
    written = parts.writer.writeAtOnce(ready, to, ctx.res)
  }
  if (!ctx.req.complete) discardBody(ctx.req)
  return { ready, written }
}

function discardBody(request: IncomingMessage): void {
  request.unpipe()
  request.resume()
}

/** Milliseconds for which a refused body is read past before its connection is closed. */
const longestReadPast = 5_000

async function readPast(request: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const event of ['end', 'close', 'error']) request.once(event, resolve)
  const timer = setTimeout(resolve, longestReadPast)
  discardBody(request)
  await promise
  clearTimeout(timer)
}

async function replyOf(ctx: Context, next: () => Promise<void>): Promise<ReadyReply> {
  try {
    await next()
    return ctx.state.reply ?? failed(ctx, new HubFailure('NotFound', 404, 'there is nothing at this address'))
  } catch (error) {
    return failed(ctx, error)
  }
}

function failed(ctx: Context, error: unknown): ReadyReply {
  const { begun, parsed } = ctx.state.arrival
  return readyAtOnce(failureReply(error, parsed?.target), { method: begun.method, headers: {} })
}

async function discard({ body }: ReadyReply): Promise<void> {
  if (body.kind === 'open') await body.open.close()
  if (body.kind === 'stream') body.stream.destroy()
}

function recipient({ req, res, state }: Context, { gate, settings }: ServerParts, lifecycle: Lifecycle): Recipient {
  const { begun, parsed } = state.arrival
  const { id, method } = begun
  const asked = method === 'OPTIONS' ? req.headers['access-control-request-method'] : method
  const allowedOrigin =
    state.admission !== undefined
      ? state.admission.allowedOrigin
      : parsed !== undefined && asked !== undefined && isMethod(asked)
        ? gate.allowedOrigin(asked, parsed.target, req.headers.origin)
        : undefined
  const holdsBack = isHeld(res)
  const isLeft = !holdsBack && leavesMuchUnread(req)
  return {
    id,
    method,
    mirror: mirrorAddress(req, parsed?.prefix ?? '', settings),
    allowedOrigin,
    closes: !lifecycle.accepting || isLeft || holdsBack || isFramingFaulty(req),
    readPast: isLeft ? () => readPast(req) : undefined,
  }
}

/** Whether so much of the body is still to come that the connection is better closed than read to its end. */
function leavesMuchUnread(request: IncomingMessage): boolean {
  if (request.complete || !hasBody(request)) return false
  return !(Number(request.headers['content-length']) <= mostReadPast)
}
