import { readApiRoute } from './api-routes.ts'
import { readBucketPage } from './bucket-routes.ts'
import { decodedAgain } from './decoded-again.ts'
import { InvalidTarget } from './errors.ts'
import { makeTarget, queryOf, spellQuery } from './format-target.ts'
import { readOwnRoute } from './own-routes.ts'
import { readRegistryRoute } from './registry-routes.ts'
import type { Route } from './route-reading.ts'
import type { Address, Target } from './target.ts'
import {
  hasPrefix,
  malformed,
  spellSegments,
  splitPath,
  splitTarget,
  type TargetPath,
  withoutFirst,
} from './target-path.ts'
import { readWebRoute } from './web-routes.ts'

export interface ParsedTarget {
  /** The prefix, where the target has it in front; otherwise empty. */
  readonly prefix: string
  readonly target: Target
}

/**
 * Reads a request's target, as Node gives it (`request.url`): the one place where that is done. `prefix` is the path
 * under which the mirror is served besides the root, empty where there is none.
 *
 * Each segment is decoded once. Empty segments are dropped: an endpoint that ends in a slash makes clients ask for
 * `//api/…`, which the Hub takes. Words of routes are matched in any case, as the Hub's router does.
 *
 * Throws {@link InvalidTarget}: 400 for what two parsers could read in two ways (dot segments, `#`, backslash, control
 * characters, encodings that are none), 404 for a file or revision that can't exist.
 */
export function parseTarget(raw: string, prefix: string): ParsedTarget {
  const [rawPath, rawQuery] = splitTarget(raw)
  const whole = splitPath(rawPath)
  const prefixSegments = segmentsOfPrefix(prefix)
  const isPrefixed = prefixSegments.length > 0 && hasPrefix(whole, prefixSegments)
  const path = isPrefixed ? withoutFirst(whole, prefixSegments.length) : whole
  const query = spellQuery(rawQuery)
  const route = readRoute(path, query)
  if (path.segments.length > mostSegments && withoutGrammar.has(route.address.operation))
    throw malformed(`its path has more than ${mostSegments} segments`)
  if (path.hasBackslash && !namesFile(route.address)) throw malformed('only the name of a file may contain "\\"')
  if (rawPath.includes('%25')) assertDecodedOnce(path, route, query)
  const target = makeTarget(
    route.address,
    route.path,
    queryOf(route.address, route.path, query),
    // Policies look at what is sent, so segments are those of the canonical path.
    rawPath === (isPrefixed ? prefix + route.path : route.path) ? path.segments : splitPath(route.path).segments,
    route.readings,
    route.alternatives,
    route.pair,
  )
  return { prefix: isPrefixed ? prefix : '', target }
}

/** Segments of a path whose route has no grammar; policies try each run of them for the name of a repository. */
const mostSegments = 64
const withoutGrammar: ReadonlySet<Target['operation']> = new Set(['other', 'repository-other', 'listing'])

const prefixes = new Map<string, readonly string[]>()

/** A server has one prefix; it is taken apart once. */
function segmentsOfPrefix(prefix: string): readonly string[] {
  let segments = prefixes.get(prefix)
  if (segments === undefined) {
    segments = splitPath(prefix).segments
    prefixes.set(prefix, segments)
  }
  return segments
}

function readRoute(path: TargetPath, query: string): Route {
  const { segments } = path
  const [first] = segments
  if (first === undefined) return { address: { operation: 'page' }, path: '/', readings: [] }
  const word = first.toLowerCase()
  const route = readKnownRoute(path, word, query)
  if (route !== undefined) return route
  const spelled = spellSegments({ ...path, segments: leadingWords.has(word) ? [word, ...segments.slice(1)] : segments })
  return { address: { operation: 'other' }, path: spelled, readings: [] }
}

const escapeSequence = /%[0-9a-f]{2}/i

/**
 * Who decodes twice must read no other route. No word of a route, name or revision has an escape in it, but files may
 * (`http%3A%2F%2F…`), unless dots are a segment of theirs, or the path has another reading then.
 */
function assertDecodedOnce({ segments }: TargetPath, route: Route, query: string): void {
  if (!segments.some((segment) => escapeSequence.test(segment))) return
  const file = segments.length - lengthOfFile(segments, route.address)
  const isTwice = segments.some((segment, index) => escapeSequence.test(segment) && (isDotted(segment) || index < file))
  if (isTwice || !isSameAgain(route, query)) throw malformed('it is percent-encoded twice')
}

function isSameAgain(route: Route, query: string): boolean {
  const again = route.path.replaceAll(/%25(?=[0-9a-f]{2})/gi, '%')
  if (again === route.path) return true
  let read: Route
  try {
    read = readRoute(splitPath(again), query)
  } catch (error) {
    if (error instanceof InvalidTarget) return true // it leads nowhere
    throw error
  }
  const { operation } = read.address
  return (
    operation === route.address.operation &&
    JSON.stringify(read.readings) === JSON.stringify(route.readings) &&
    isSameAgain(read, query)
  )
}

/** How many segments at the end of a path are a file's name. */
function lengthOfFile(segments: readonly string[], address: Address): number {
  if ('path' in address) return address.path.split('/').length
  if (address.operation !== 'repository-read' || !fileRoutes.has(address.route)) return 0
  const route = segments.findIndex((segment) => segment.toLowerCase() === address.route)
  // Buckets have no revisions.
  return segments.length - route - (address.repository.type === 'bucket' ? 1 : 2)
}

/** Whether it has a segment of dots to who decodes it again. */
function isDotted(segment: string): boolean {
  const readings = decodedAgain(segment)
  if (readings === undefined) throw malformed('it is percent-encoded over and over')
  return readings.some((reading) => reading.split(/[/\\]/).some((part) => part === '.' || part === '..'))
}

const leadingWords = new Set(['api', 'buckets', 'datasets', 'kernels', 'spaces', 'v2'])

function readKnownRoute(path: TargetPath, word: string, query: string): Route | undefined {
  switch (word) {
    case 'api':
      return readApiRoute(path)
    case 'datasets':
      return readWebRoute(path, 1, 'dataset', query)
    case 'spaces':
      return readWebRoute(path, 1, 'space', query)
    case 'kernels':
      return readWebRoute(path, 1, 'kernel', query)
    case 'buckets':
      return readBucketPage(path)
    case 'v2':
      return readRegistryRoute(path)
    case '-':
      return readOwnRoute(path)
    case 'health':
    case 'ready':
      if (path.segments.length === 1) return { address: { operation: word }, path: `/${word}`, readings: [] }
  }
  return readWebRoute(path, 0, 'model', query)
}

const fileRoutes = new Set(['blame', 'blob', 'raw', 'resolve', 'resolve-cache', 'tree'])

/** Git allows a backslash in a file's name, and nowhere else. */
function namesFile(address: Address): boolean {
  return 'path' in address || (address.operation === 'repository-read' && fileRoutes.has(address.route))
}
