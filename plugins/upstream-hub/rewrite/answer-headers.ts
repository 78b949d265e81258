import type { HeaderList, UpstreamRequest } from 'mirrorface/plugin'
import { mapLinks } from './link-header.ts'
import type { MirrorUrls } from './mirror-urls.ts'

/** Of one connection only (RFC 9110 §7.6.1), or what a mirror must not say in the upstream's name (docs/credentials.md, "Headers"). */
const dropped = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'alt-svc',
  'clear-site-data',
  'nel',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
])

/** What clients can't do without: an upstream's `Connection` must not take it away. */
const protectedNames = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'etag',
  'location',
  'x-repo-commit',
  'x-linked-etag',
  'x-linked-size',
  'x-error-code',
  'x-error-message',
])

/** An answer's headers without what is not the client's; kept answers have gone through this. */
export function endToEnd(headers: HeaderList): HeaderList {
  const named = new Set<string>()
  for (const [name, value] of headers) {
    if (name !== 'connection') continue
    for (const one of value.split(',')) named.add(one.trim().toLowerCase())
  }
  return headers.filter(
    ([name]) =>
      !dropped.has(name) && !name.startsWith('access-control-') && !(named.has(name) && !protectedNames.has(name)),
  )
}

/**
 * An end-to-end answer's headers with the upstream's URLs leading through the mirror. `Location`, `Content-Location` and
 * `Link` are relative to its root; what the server does not know to make absolute gets the public URL here, and is
 * therefore never kept.
 */
export function mirrorHeaders(headers: HeaderList, urls: MirrorUrls, request: UpstreamRequest): HeaderList {
  const { canonical, pathname } = request.target
  const mapped: [string, string][] = []
  for (const [name, value] of headers) {
    const changed = mirrorHeader(name, value)
    if (changed !== undefined) mapped.push([name, changed])
  }
  return mapped

  function mirrorHeader(name: string, value: string): string | undefined {
    switch (name) {
      case 'location':
      case 'content-location':
        return urls.toMirror(value, canonical)
      case 'link':
        return mapLinks(value, mirrorLink)
      case 'x-xet-refresh-route':
        return urls.toPublic(value, canonical, request.publicUrl)
      case 'www-authenticate':
        // A registry's challenge names its token service: Bearer realm="https://…".
        return value.replaceAll(/"(https?:[^"]*)"/g, (_quoted, url: string) => {
          return `"${urls.toPublic(url, canonical, request.publicUrl)}"`
        })
      default:
        return value
    }
  }

  function mirrorLink(uri: string, relation: string): string | undefined {
    const mirrored = urls.toMirror(uri, canonical)
    if (mirrored === undefined || mirrored.startsWith('/') || relation !== 'next') return mirrored
    // The next page of this very list under the upstream's public name, which is not the name that we asked.
    const next = new URL(mirrored)
    return next.pathname.endsWith(pathname) ? pathname + next.search : mirrored
  }
}
