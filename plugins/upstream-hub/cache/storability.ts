import CachePolicy from 'http-cache-semantics'
import type { HeaderList } from 'mirrorface/plugin'
import { isRedirect, listOf } from '../transport/answer.ts'
import { expiryOfUrl } from './signed-url.ts'

/** What RFC 9111 allows with one answer. */
export interface Storability {
  /** It may be given to those that asked the same at the same time with the same credentials. */
  readonly isShareable: boolean
  readonly isStorable: boolean
  /** Milliseconds since it arrived for which it is fresh. */
  readonly freshFor: number
  /** Milliseconds since it arrived for which it may be served stale; 0: it must be validated first (§4.2.4). */
  readonly staleFor: number
  /** Milliseconds that it was old when it arrived (§4.2.3). */
  readonly initialAge: number
}

export interface StorabilityOptions {
  /** Milliseconds. The lifetime where the upstream states none; the longest where it does. */
  readonly freshFor: number
  /** Milliseconds. */
  readonly staleIfError: number
  /** Whether a URL leads away from the upstream, where nothing is known of how long it is good. */
  leadsAway(url: string): boolean
}

export interface JudgedAnswer {
  readonly method: string
  readonly status: number
  /** Everything that the upstream sent, `set-cookie` included. */
  readonly headers: HeaderList
  /** By `Date.now()`. */
  readonly receivedAt: number
}

/** A redirect to another host whose URL does not say when it expires is believed so long, in milliseconds. */
const unsignedRedirectFor = 60_000

const never: Storability = { isShareable: false, isStorable: false, freshFor: 0, staleFor: 0, initialAge: 0 }

/** Statuses that are worth serving stale: answers, not refusals. */
const lasting = new Set([200, 203, 301, 302, 307, 308])

export function storabilityOf(answer: JudgedAnswer, options: StorabilityOptions): Storability {
  const { method, status, headers, receivedAt } = answer
  if (variesByAnything(headers) || headers.some(([name]) => name === 'set-cookie')) return never
  const relevant = {
    // Names of directives are case-insensitive (§5.2); the library knows them in lower case only.
    'cache-control': listOf(headers, 'cache-control')?.toLowerCase(),
    pragma: listOf(headers, 'pragma')?.toLowerCase(),
    age: listOf(headers, 'age'),
    date: listOf(headers, 'date'),
    expires: listOf(headers, 'expires'),
  }
  const policy = new CachePolicy(
    // Whose credentials were sent is part of the key: nobody else's request finds it, so that §3.5 is met.
    { method, url: '/', headers: {} },
    { status: comparableStatus(status), headers: defined(relevant) },
    { shared: true, cacheHeuristic: 0 },
  )
  const directives = policy.toObject().rescc
  if (directives['no-store'] !== undefined || directives.private !== undefined) return never
  const shareable: Storability = { ...never, isShareable: true }
  if (!policy.storable()) return shareable
  const explicit =
    directives['max-age'] !== undefined || directives['s-maxage'] !== undefined || relevant.expires !== undefined
  const mustRevalidate = ['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage'].some(
    (name) => directives[name] !== undefined,
  )
  const initialAge = initialAgeOf(relevant, receivedAt)
  const lifetime = explicit ? policy.maxAge() * 1000 - initialAge : options.freshFor
  const bound = redirectBound(answer, options)
  const freshFor = directives['no-cache'] === undefined ? Math.min(lifetime, options.freshFor, bound) : 0
  return {
    isShareable: true,
    isStorable: bound > 0,
    freshFor: Math.max(0, freshFor),
    staleFor: mustRevalidate || !lasting.has(status) ? 0 : Math.max(0, Math.min(options.staleIfError, bound)),
    initialAge,
  }
}

/**
 * 302 and 307 are not cacheable without an explicit lifetime (RFC 9110 §15.4). `metadataFreshFor` counts as one: HEAD of
 * a file is what a fleet repeats, and the Hub answers it with a redirect.
 */
function comparableStatus(status: number): number {
  return status === 302 || status === 307 ? 301 : status
}

/** Milliseconds for which a redirect's target is good. */
function redirectBound({ status, headers, receivedAt }: JudgedAnswer, options: StorabilityOptions): number {
  const location = listOf(headers, 'location')
  if (!isRedirect(status) || location === undefined) return Number.POSITIVE_INFINITY
  const expiry = expiryOfUrl(location)
  if (expiry !== undefined) return expiry - receivedAt
  return options.leadsAway(location) ? unsignedRedirectFor : Number.POSITIVE_INFINITY
}

/** Milliseconds (§4.2.3); the library counts `Age` only. */
function initialAgeOf(
  { age, date }: { age: string | undefined; date: string | undefined },
  receivedAt: number,
): number {
  const stated = Number.parseInt(age ?? '0', 10)
  const apparent = Math.max(0, receivedAt - Date.parse(date ?? ''))
  return Math.max(Number.isFinite(stated) ? stated * 1000 : 0, Number.isFinite(apparent) ? apparent : 0)
}

/**
 * `Vary: *` matches no request (§4.1). Any header that it names selects nothing further: those of a shared question are
 * in its key, and it is sent without the rest.
 */
function variesByAnything(headers: HeaderList): boolean {
  return (listOf(headers, 'vary') ?? '').split(',').some((name) => name.trim() === '*')
}

function defined(headers: Record<string, string | undefined>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) kept[name] = value
  return kept
}
