import type { IncomingMessage } from 'node:http'
import proxyAddr from 'proxy-addr'
import { Failure, type Method, methods, type ParsedTarget, quoted } from '../hub/index.ts'
import { loggedPath, loggedTarget } from './observe/logged-path.ts'
import type { BegunRequest } from './observe/request-recorder.ts'
import type { ParsedTargets } from './parsed-targets.ts'
import type { ServerParts, ServerSettings } from './server-parts.ts'

/** A request as it came from the socket, its target parsed. */
export interface Arrival {
  readonly begun: BegunRequest
  readonly parsed: ParsedTarget | undefined
  /** Why it goes no further: it can't be parsed, or it is for another host. */
  readonly refusal: unknown
}

/** Parses a request that has come from the socket; what it asks for is not looked up yet. */
export function arrive(
  request: IncomingMessage,
  { recorder, gate, settings }: ServerParts,
  targets: ParsedTargets,
): Arrival {
  const { method = '', url = '', headers } = request
  let parsed: ParsedTarget | undefined
  let refusal: unknown
  try {
    parsed = targets.parse(url)
    assertFraming(request)
    const { target } = parsed
    // Probes know the server by whatever name they have.
    if (target.operation !== 'health' && target.operation !== 'ready') gate.assertHost(hostOf(request))
  } catch (error) {
    refusal = error
  }
  const path = parsed === undefined ? loggedTarget(url) : loggedPath(parsed.prefix, parsed.target)
  const about = { method, target: parsed?.target, path }
  return { begun: recorder.begin(about, headers, clientAddress(request, settings)), parsed, refusal }
}

/**
 * Whether a proxy in front may see another end of the message than this server does: HTTP/1.0 has no chunks. "A server
 * [...] MUST treat the message as if the framing is faulty [...] and close the connection" (RFC 9112 §6.1), for what
 * comes next on it may be the body to one of them, and a request to the other.
 */
export function isFramingFaulty({ httpVersion, headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined && httpVersion === '1.0'
}

/** What Node's parser lets by: a body that is compressed on its way (RFC 9112 §6.1), and more than one host (§3.2). */
function assertFraming(request: IncomingMessage): void {
  const { headers, rawHeaders } = request
  if (isFramingFaulty(request))
    throw new Failure('BadRequest', 400, 'HTTP/1.0 has no Transfer-Encoding: send a Content-Length, or HTTP/1.1')
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw new Failure(
      'NotImplemented',
      501,
      `Transfer-Encoding ${quoted(coding)} is not understood: send chunked alone`,
    )
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === 'host') hosts++
  if (hosts > 1) throw new Failure('BadRequest', 400, 'The request names more than one Host')
}

/** The address that the nearest trusted proxy vouches for, or that of the connection; empty once that is gone. */
function clientAddress(request: IncomingMessage, { trustsProxy }: ServerSettings): string {
  const { remoteAddress } = request.socket
  if (remoteAddress === undefined || request.headers['x-forwarded-for'] === undefined) return remoteAddress ?? ''
  return proxyAddr(request, trustsProxy)
}

/** In absolute form the target names the host, whatever `Host` says (RFC 9112 §3.2.2); credentials in it are nobody's business. */
export function hostOf({ url = '', headers }: IncomingMessage): string | undefined {
  return url.startsWith('/') ? headers.host : (/^https?:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url)?.[1] ?? headers.host)
}

export function isMethod(text: string): text is Method {
  return methods.some((method) => method === text)
}
