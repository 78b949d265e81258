import type { RequestKind, Target } from '../../hub/index.ts'
import {
  type BodyReader,
  bodyOfBytes,
  type Declined,
  discard,
  type RequestBody,
  type Rights,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamTraits,
} from '../../plugin/index.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Tracing } from '../../telemetry/tracing.ts'
import { UpstreamUnavailable } from '../failure-reply.ts'
import type { Admission } from '../gate/admission.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { Reply } from '../reply.ts'
import { upstreamHeaders } from './upstream-request.ts'

export interface UpstreamParts {
  readonly upstreams: readonly Upstream[]
  readonly logger: Logger
  readonly tracing?: Pick<Tracing, 'asking'> | undefined
  readonly bodies: BodyReader
  /** This deployment's name in `Via`. */
  readonly pseudonym: string
  /** Makes URLs at an upstream into capabilities; `undefined`: none can be made for this target. */
  sealFor(target: Target, kind: RequestKind, upstream: UpstreamTraits): ((url: string) => string) | undefined
}

/** Asks the upstreams in order for a reply. Rejects with an {@link UpstreamUnavailable} where none gives one. */
export async function answerFromUpstreams(
  request: ReceivedRequest,
  admission: Admission,
  parts: UpstreamParts,
): Promise<Reply> {
  const { logger, tracing } = parts
  const { capability } = admission
  // What a capability leads to is known to the upstream that made it, and to no other.
  const upstreams =
    capability === undefined
      ? parts.upstreams
      : parts.upstreams.filter(({ traits }) => traits.name === capability.upstream)
  const body = await repeatable(admission.body, upstreams.length, parts.bodies, request.signal)
  const headers = upstreamHeaders(request.headers, parts.pseudonym)
  const declined: DeclinedWith[] = []
  const inconclusive: string[] = []
  for (const upstream of upstreams) {
    // A body is sent once: the rest of it would be taken for the next request (RFC 9112 §6.3).
    if (body !== undefined && body.bytes === undefined && body.isSpent) break
    const { name } = upstream.traits
    const rights = admission.rightsAt(upstream.traits)
    const seal = parts.sealFor(request.target, admission.kind, upstream.traits)
    const ask = (traced: Readonly<Record<string, string>>): Promise<UpstreamAnswer | Declined> =>
      upstream.ask({
        id: request.id,
        method: request.method,
        target: request.target,
        headers: traced,
        rights,
        body,
        purpose: 'client',
        publicUrl: request.mirror.url,
        ...(capability !== undefined && { sealedUrl: capability.url }),
        ...(seal !== undefined && { seal }),
        signal: request.signal,
      })
    const askedAt = performance.now()
    const outcome = withoutLoop(name, await (tracing === undefined ? ask(headers) : tracing.asking(name, headers, ask)))
    if (outcome.kind === 'answered') {
      if (logger.debug()) {
        const { status, staleFor } = outcome
        const seconds = (performance.now() - askedAt) / 1000
        logger.debug(
          { request: request.id, upstream: name, as: rights.use, status, staleFor, seconds },
          'upstream answered',
        )
      }
      if (!isRefusal(outcome) || !declined.some((one) => reach(one.rights) > reach(rights)))
        return upstreamReply(request.target, name, outcome)
      letGo(outcome)
      inconclusive.push(name)
      logger.info({ request: request.id, upstream: name, status: outcome.status }, 'refusal not counted')
      continue
    }
    declined.push({ ...outcome, rights })
    const { reason, cause } = outcome
    logger.warn({ request: request.id, upstream: name, reason, err: cause }, 'upstream declined')
  }
  throw unavailable(request, declined, inconclusive)
}

/** What an upstream that did not answer was asked with. */
type DeclinedWith = Declined & { readonly rights: Rights }

/** How much rights may open: those of the client whose request it is, those of this server, none. */
function reach(rights: Rights): number {
  if (rights.use === 'client' || (rights.use === 'service' && rights.otherwise !== undefined)) return 2
  return rights.use === 'service' ? 1 : 0
}

/**
 * "Not for you", or "no such repository", which is what whoever may not see it is told. Of one that was asked with fewer
 * rights than an upstream that is down it says nothing: a client with a good token would be told that it is none.
 */
function isRefusal({ status, headers }: UpstreamAnswer): boolean {
  if (status === 401 || status === 403) return true
  return status === 404 && headers.some(([name, value]) => name === 'x-error-code' && value === 'RepoNotFound')
}

function letGo({ body }: UpstreamAnswer): void {
  if (!(body instanceof Uint8Array)) discard(body)
}

/** Another mirror that found itself among those the request came through did not answer it: the next may. */
function withoutLoop(name: string, outcome: UpstreamAnswer | Declined): UpstreamAnswer | Declined {
  if (outcome.kind === 'declined' || outcome.status !== 508) return outcome
  letGo(outcome)
  return {
    kind: 'declined',
    status: 508,
    reason: `"${name}" leads back to a mirror that this request has come through`,
  }
}

/** A body that may be read is, where there are several upstreams to send it to. */
async function repeatable(
  body: RequestBody | undefined,
  upstreams: number,
  bodies: BodyReader,
  signal: AbortSignal,
): Promise<RequestBody | undefined> {
  if (body === undefined || upstreams < 2 || (body.length ?? Number.POSITIVE_INFINITY) > bodies.largest) return body
  return bodyOfBytes(await bodies.read(body, signal))
}

function upstreamReply(target: Target, source: string, { status, headers, body, staleFor }: UpstreamAnswer): Reply {
  const reply: [string, string][] = []
  const replaced = isUntrusted(target) ? untrustedHeaders : []
  for (const [name, value] of headers) {
    if (notForClients.test(name) || replaced.some(([own]) => own === name)) continue
    // The client sees the id that our log has; the upstream's is for its operators.
    reply.push([name === 'x-request-id' ? 'x-upstream-request-id' : name, value])
  }
  for (const [name, value] of replaced) reply.push([name, value])
  if (staleFor !== undefined) reply.push(['cache-status', 'mirrorface; hit; detail=stale'])
  return {
    status,
    headers: reply,
    body: body instanceof Uint8Array ? { kind: 'bytes', bytes: body } : { kind: 'stream', stream: body },
    source,
    outcome: 'fallback',
  }
}

/**
 * Who may read a reply in a browser is for the gate to say. The rest are orders to the proxy in front of this server, by
 * which an upstream could have it send our files.
 */
const notForClients = /^(?:access-control-.*|x-accel-.*|x-sendfile.*|x-lighttpd-send-file|x-reproxy-.*)$/

/** Of content that another host made: a browser must run none of it as this server's. */
const untrustedHeaders = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; sandbox"],
] as const

function isUntrusted({ operation }: Target): boolean {
  return operation === 'follow' || operation === 'lfs-object'
}

function unavailable(
  { target }: ReceivedRequest,
  declined: readonly Declined[],
  inconclusive: readonly string[],
): UpstreamUnavailable {
  const subject = 'repository' in target ? `${target.repository.id} cannot be fetched` : 'this cannot be answered'
  const reasons = declined.map(({ reason }) => reason)
  const refused = inconclusive.map((name) => `"${name}" refused it, but was asked without the rights of this request`)
  const why =
    [...new Set([...reasons, ...refused])].join('; ') || 'the upstream that it needs is not configured any more'
  const waits = declined.flatMap(({ retryAfter }) => (retryAfter === undefined ? [] : [retryAfter]))
  return new UpstreamUnavailable(declined.at(-1)?.status ?? 502, `${subject}, because ${why}`, {
    cause: declined.at(-1)?.cause,
    retryAfter: waits.length === 0 ? undefined : Math.ceil(Math.min(...waits)),
  })
}
