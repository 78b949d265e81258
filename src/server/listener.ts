import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { hasBody } from '../plugin/index.ts'
import { readyAgain } from './answers/recent-replies.ts'
import { createApp } from './app.ts'
import { type Arrival, arrive } from './arrival.ts'
import { cutBy } from './delivery/cut.ts'
import { mirrorAddress } from './mirror-address.ts'
import { ParsedTargets } from './parsed-targets.ts'
import type { Lifecycle, ServerParts } from './server-parts.ts'

/** Takes requests from the socket: each is parsed once; replies of a moment ago are given again here, ahead of Koa. */
export function createListener(parts: ServerParts, lifecycle: Lifecycle): RequestListener {
  const arrivals = new WeakMap<IncomingMessage, Arrival>()
  const targets = new ParsedTargets(parts.settings.prefix)
  const handle = createApp(parts, lifecycle, arrivals).callback()
  return (request, response) => {
    const arrival = arrive(request, parts, targets)
    if (lifecycle.accepting && answerAgain(request, response, arrival, parts)) return
    arrivals.set(request, arrival)
    void handle(request, response)
  }
}

/** Whether the reply of a moment ago could be given again, and was. */
function answerAgain(
  request: IncomingMessage,
  response: ServerResponse,
  { begun, parsed, refusal }: Arrival,
  { recentReplies, recorder, writer, settings, logger }: ServerParts,
): boolean {
  if (recentReplies === undefined || parsed === undefined || refusal !== undefined) return false
  const { headers } = request
  // A body may end the connection with the reply, which is for the stages behind to know.
  if (headers.expect !== undefined || hasBody(request)) return false
  const recent = recentReplies.find(begun.method, parsed.target, headers)
  if (recent === undefined) return false
  const { allowedOrigin } = recent
  if (logger.debug()) logger.debug({ request: begun.id }, 'answered as a moment ago')
  const mirror = mirrorAddress(request, parsed.prefix, settings)
  const ready = readyAgain(recent, begun.method, headers)
  const to = { id: begun.id, method: begun.method, mirror, allowedOrigin, closes: false }
  const { status, bytes } = writer.writeAtOnce(ready, to, response)
  const { source, outcome } = ready
  response.once('close', () => {
    const aborted = !response.writableFinished
    recorder.end(begun, {
      source,
      outcome,
      status,
      bytes,
      sourceFailed: false,
      aborted,
      failure: cutBy(response),
    })
  })
  return true
}
