import { text } from 'node:stream/consumers'
import { parseTarget } from '../../../../src/hub/index.ts'
import {
  BodyReader,
  type Declined,
  type RequestBody,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
} from '../../../../src/plugin/index.ts'
import { answerFromUpstreams, type UpstreamParts } from '../../../../src/server/answers/from-upstreams.ts'
import { UpstreamUnavailable } from '../../../../src/server/failure-reply.ts'
import type { Admission } from '../../../../src/server/gate/index.ts'
import type { ReceivedRequest } from '../../../../src/server/received-request.ts'
import { createLogger } from '../../../../src/telemetry/logger.ts'
import { streamBody } from '../../../conformance/upstream-request.ts'

export type Outcome = UpstreamAnswer | Declined

export const declined = (retryAfter?: number): Declined => ({
  kind: 'declined',
  status: 503,
  reason: 'it is down',
  ...(retryAfter !== undefined && { retryAfter }),
})
export const answered = (headers: UpstreamAnswer['headers'] = [], status = 200): UpstreamAnswer => {
  return { kind: 'answered', status, headers, body: Buffer.from('{}') }
}

export class FakeUpstream implements Upstream {
  readonly traits: Upstream['traits']
  readonly asked: UpstreamRequest[] = []
  readonly bodies: string[] = []
  readonly #outcome: (request: UpstreamRequest) => Outcome

  constructor(name: string, outcome: (request: UpstreamRequest) => Outcome) {
    this.traits = {
      name,
      hasServiceToken: true,
      serviceWrites: false,
      clientTokens: undefined,
      clientTokenPattern: /^hf_/,
      authority: undefined,
    }
    this.#outcome = outcome
  }

  async ask(request: UpstreamRequest): Promise<Outcome> {
    this.asked.push(request)
    if (request.body !== undefined) this.bodies.push(await text(request.body.take()))
    return this.#outcome(request)
  }
  async ready(): Promise<void> {}
  async close(): Promise<void> {}
}

/** A body that arrives: it can be taken once. */
export function arriving(content: string, length: number | undefined): RequestBody {
  return streamBody(length, [Buffer.from(content)])
}

const logger = createLogger('fatal', 'json', { write: () => undefined })

export async function ask(
  upstreams: readonly Upstream[],
  options: {
    readonly headers?: ReceivedRequest['headers']
    readonly body?: RequestBody | undefined
    readonly capability?: Admission['capability']
    readonly rightsAt?: Admission['rightsAt']
    readonly target?: string
    readonly id?: string
    readonly signal?: AbortSignal
    readonly parts?: Partial<UpstreamParts>
  } = {},
) {
  const { target } = parseTarget(options.target ?? '/api/models/org/model', '')
  const request: ReceivedRequest = {
    id: options.id ?? 'own-id',
    method: options.body === undefined ? 'GET' : 'POST',
    target,
    client: { kind: 'none', address: '127.0.0.1' },
    headers: options.headers ?? {},
    body: options.body,
    mirror: { url: 'http://mirror/mirror', path: '/mirror' },
    signal: options.signal ?? new AbortController().signal,
  }
  const admission: Admission = {
    kind: 'read',
    library: { find: async () => undefined, refs: async () => [], has: async () => false },
    body: options.body,
    rightsAt: options.rightsAt ?? (() => ({ use: 'none' })),
    pullRightsFor: async () => undefined,
    isPublic: true,
    capability: options.capability,
    allowedOrigin: '*',
  }
  return await answerFromUpstreams(request, admission, {
    upstreams,
    logger,
    bodies: new BodyReader(),
    pseudonym: 'mirrorface-1',
    sealFor: () => undefined,
    ...options.parts,
  })
}

export const failureOf = async (asked: Promise<unknown>): Promise<UpstreamUnavailable> => {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof UpstreamUnavailable)) throw new Error('it was answered', { cause: error })
  return error
}
