import type { IncomingMessage } from 'node:http'
import { headerOf } from './hub-answer.ts'

/** Between two neighbours only (RFC 9110 §7.6.1), with those that `Connection` names. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** What clients can't do without: an upstream's `Connection` must not take it away. */
const kept = ['content-length', 'etag', 'x-repo-commit', 'x-linked-etag', 'x-linked-size', 'content-range']

/** What tells where a body ends, and whom the request is for: no `Connection` header may take these away. */
const framing = new Set(['transfer-encoding', 'content-length', 'host'])

export interface Rewrite {
  /** The upstream's origin: `https://huggingface.co`. */
  readonly upstream: string
  /** The mirror's address as the client knows it, prefix included. */
  readonly mirror: string
}

/** The upstream's headers as the client gets them, in their order and spelling, repeated ones too. */
export function clientHeaders(given: readonly string[], rewrite: Rewrite): string[] {
  const dropped = new Set([...hopByHop, ...connectionNames(headerOf(given, 'connection'))])
  for (const name of kept) dropped.delete(name)
  const headers: string[] = []
  for (let index = 0; index < given.length; index += 2) {
    const name = given[index] ?? ''
    const value = given[index + 1] ?? ''
    if (!dropped.has(name.toLowerCase())) headers.push(name, rewriteHeader(name.toLowerCase(), value, rewrite))
  }
  return headers
}

/** The names that `Connection` adds to the hop-by-hop ones. */
function connectionNames(connection: string | undefined): string[] {
  return (connection ?? '').split(',').map((name) => name.trim().toLowerCase())
}

function rewriteHeader(name: string, value: string, rewrite: Rewrite): string {
  if (name === 'location') return rewriteUrl(value, rewrite)
  if (name === 'link') return rewriteLink(value, rewrite)
  return value
}

/**
 * A URL at the upstream becomes one at the mirror; a foreign one stays. A relative URL gets the
 * mirror's prefix, for clients put just its path on the host that they asked (hub-protocol §2).
 */
export function rewriteUrl(url: string, { upstream, mirror }: Rewrite): string {
  if (url.startsWith('/') && !url.startsWith('//')) return new URL(mirror).pathname.replace(/\/$/, '') + url
  if (url === upstream || url.startsWith(`${upstream}/`)) return mirror + url.slice(upstream.length)
  return url
}

function rewriteLink(value: string, rewrite: Rewrite): string {
  return value.replaceAll(/<([^>]*)>/g, (_whole, url: string) => {
    // In Link, clients want whole URLs (hub-protocol §6).
    return `<${url.startsWith('/') && !url.startsWith('//') ? rewrite.mirror + url : rewriteUrl(url, rewrite)}>`
  })
}

/** Takes off a request what is between the client and us only. Its framing stays, for the body goes on as it came. */
export function dropHopByHop(request: IncomingMessage): void {
  for (const name of [...hopByHop, ...connectionNames(request.headers.connection)]) {
    if (!framing.has(name)) delete request.headers[name]
  }
}
