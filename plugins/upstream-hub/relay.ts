import { addAbortSignal, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describeError, type Exchange, type Forwarded, type PluginLogger } from 'mirrorface/plugin'
import { clientHeaders, type Rewrite } from './answer-headers.ts'
import type { Deadline } from './deadline.ts'
import { discard, type HubAnswer } from './hub-answer.ts'

export interface RelayOptions {
  readonly rewrite: Rewrite
  /** Milliseconds without a byte of the body. */
  readonly idleTimeout: number
  readonly deadline: Deadline
  readonly logger: PluginLogger
}

/** Gives an answer to the client: head, then the body as it comes. */
export async function relay(exchange: Exchange, answer: HubAnswer, options: RelayOptions): Promise<Forwarded> {
  const { response, request } = exchange
  writeHead(exchange, answer, options.rewrite)
  const { status, body } = answer
  if (request.method === 'HEAD') {
    discard(answer)
    response.end()
    return { kind: 'forwarded', status, bytes: 0, complete: true }
  }
  if (options.deadline.signal !== undefined) addAbortSignal(options.deadline.signal, body)
  let bytes = 0
  let idle = startIdle(body, options.idleTimeout)
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    idle.refresh()
  })
  // A slow client holds the body up: that is no fault of the upstream's.
  body.on('pause', () => clearTimeout(idle))
  body.on('resume', () => {
    clearTimeout(idle)
    idle = startIdle(body, options.idleTimeout)
  })
  try {
    await pipeline(body, response)
    return { kind: 'forwarded', status, bytes, complete: true }
  } catch (error) {
    // A body cut short at the upstream is cut short for the client: never ended as if it were whole.
    response.destroy()
    if (!exchange.signal.aborted)
      options.logger.warn({ request: exchange.id, reason: describeError(error) }, 'upstream broke off')
    return { kind: 'forwarded', status, bytes, complete: exchange.signal.aborted }
  } finally {
    clearTimeout(idle)
  }
}

/** Gives a body that is at hand. */
export function relayWhole(exchange: Exchange, answer: HubAnswer, body: Buffer, rewrite: Rewrite): Forwarded {
  writeHead(exchange, answer, rewrite)
  exchange.response.end(exchange.request.method === 'HEAD' ? undefined : body)
  return { kind: 'forwarded', status: answer.status, bytes: body.length, complete: true }
}

function startIdle(body: Readable, timeout: number): NodeJS.Timeout {
  return setTimeout(() => body.destroy(new Error(`no byte for ${timeout} ms`)), timeout)
}

function writeHead({ response }: Exchange, answer: HubAnswer, rewrite: Rewrite): void {
  const headers = clientHeaders(answer.headers, rewrite)
  for (let index = 0; index < headers.length; index += 2) response.removeHeader(headers[index] ?? '')
  const own = Object.entries(response.getHeaders()).flatMap(([name, value]) => [name, String(value)])
  response.writeHead(answer.status, answer.reason, [...own, ...headers])
}
