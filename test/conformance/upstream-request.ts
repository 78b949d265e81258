import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  bodyOfBytes,
  type Declined,
  parseTarget,
  type RequestBody,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
} from 'mirrorface/plugin'

/** Makes a request as the server would; whatever `given` leaves out is a plain anonymous GET of a client. */
export function upstreamRequest(path: string, given: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    id: randomUUID(),
    method: 'GET',
    target: parseTarget(path, '').target,
    headers: {},
    rights: { use: 'none' },
    body: undefined,
    purpose: 'client',
    publicUrl: 'http://mirror.test/mirror',
    signal: new AbortController().signal,
    ...given,
  }
}

export function textBody(text: string): RequestBody {
  return bodyOfBytes(Buffer.from(text))
}

/** A body that arrives in pieces, and can be taken once. */
export function streamBody(
  length: number | undefined,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): RequestBody {
  let isSpent = false
  return {
    length,
    bytes: undefined,
    get isSpent() {
      return isSpent
    },
    take() {
      if (isSpent) throw new TypeError('the body was taken before')
      isSpent = true
      return Readable.from(chunks, { objectMode: false })
    },
  }
}

/** The upstream's answer; throws where it declined. */
export async function answerOf(upstream: Upstream, request: UpstreamRequest): Promise<UpstreamAnswer> {
  const outcome = await upstream.ask(request)
  if (outcome.kind === 'declined')
    throw new Error(`declined: ${outcome.status} ${outcome.reason}`, { cause: outcome.cause })
  return outcome
}

/** Why the upstream declined; throws where it answered. */
export async function declinedBy(upstream: Upstream, request: UpstreamRequest): Promise<Declined> {
  const outcome = await upstream.ask(request)
  if (outcome.kind === 'answered') throw new Error(`answered: ${outcome.status}`)
  return outcome
}

/** The whole body; rejects where it is cut short. */
export async function bodyOf({ body }: Pick<UpstreamAnswer, 'body'>): Promise<Buffer> {
  return body instanceof Uint8Array ? Buffer.from(body) : await buffer(body)
}

/** The only value of a header; `undefined` where it is absent. */
export function headerIn({ headers }: Pick<UpstreamAnswer, 'headers'>, name: string): string | undefined {
  const values = headers.filter(([one]) => one === name)
  if (values.length > 1) throw new Error(`${name} comes ${values.length} times`)
  return values[0]?.[1]
}
