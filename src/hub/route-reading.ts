import { InvalidTarget } from './errors.ts'
import { quoted } from './failure.ts'
import { isNamespace, isRepositoryName, type Repository } from './repository.ts'
import { isRevision } from './revision.ts'
import type { Address, NamedRepository } from './target.ts'
import type { TargetPath } from './target-path.ts'

/** What a path means, and how it is spelled. */
export interface Route {
  readonly address: Address
  readonly path: string
  readonly readings: readonly NamedRepository[]
  readonly alternatives?: readonly Address[]
  readonly pair?: NamedRepository | undefined
}

/**
 * How well a reading fits. `loose`: the word is a route's, and anything may follow it. `exact`: the operands fit, too.
 * `strict`: it opens a way to write, and so wins over every other reading.
 */
const fits = { loose: 1, exact: 2, strict: 3 } as const

/** A path read with its repository's id at one of the two places where it may be. */
export interface Reading {
  readonly fit: (typeof fits)[keyof typeof fits]
  readonly address: Address
  readonly path: string
}

export function loose(address: Address, path: string): Reading {
  return { fit: fits.loose, address, path }
}
export function exact(address: Address, path: string): Reading {
  return { fit: fits.exact, address, path }
}
export function strict(address: Address, path: string): Reading {
  return { fit: fits.strict, address, path }
}

/**
 * Reads what follows a repository; `at` is the route's word. `undefined`: it is no such route, as its operands do not
 * fit. An {@link InvalidTarget} is thrown if no other reading fits.
 */
export type RouteReader = (
  path: TargetPath,
  at: number,
  repository: NamedRepository,
  query: string,
) => Reading | InvalidTarget | undefined

/**
 * Reads a path whose repository's id begins at `from`: two segments, or one of a canonical repository. Routes alone
 * tell which (`gpt2/resolve/main/f`, `org/name/resolve/main/f`), and repositories may be named like routes
 * (`org/models`), so both are tried, two segments first, as the Hub's router does. `undefined`: neither is followed
 * by a known route.
 */
export function readRepositoryRoute(
  path: TargetPath,
  from: number,
  type: NamedRepository['type'],
  readers: ReadonlyMap<string, RouteReader>,
  query = '',
): Route | undefined {
  const two = readAt(path, from, 2, type, readers, query)
  const one = readAt(path, from, 1, type, readers, query)
  if (isReading(two)) {
    if (!isReading(one)) return toRoute(two, [two])
    const [chosen, other] = one.fit > two.fit ? [one, two] : [two, one]
    return { ...toRoute(chosen, [two, one]), alternatives: [other.address] }
  }
  if (isReading(one)) {
    const [first = '', word = ''] = [path.segments[from], path.segments[from + 1]].map(withoutGit)
    // As it is sent: in small letters.
    const second = word.toLowerCase()
    const pair = isNamespace(first) && isRepositoryName(second) ? { type, id: `${first}/${second}` } : undefined
    return { ...toRoute(one, [one]), pair }
  }
  const refusal = two ?? one
  if (refusal !== undefined) throw refusal
  return undefined
}

function isReading(outcome: Reading | InvalidTarget | undefined): outcome is Reading {
  return outcome !== undefined && !(outcome instanceof InvalidTarget)
}

function toRoute({ address, path }: Reading, all: readonly Reading[]): Route {
  return { address, path, readings: all.flatMap((reading) => namedIn(reading.address)) }
}

/** The repository that an address names. */
export function namedIn(address: Address): NamedRepository[] {
  return 'repository' in address ? [address.repository] : []
}

function readAt(
  path: TargetPath,
  from: number,
  length: 1 | 2,
  type: NamedRepository['type'],
  readers: ReadonlyMap<string, RouteReader>,
  query: string,
): Reading | InvalidTarget | undefined {
  const at = from + length
  const word = path.segments[at]
  if (word === undefined) return undefined
  const reader = readers.get(word) ?? readers.get(word.toLowerCase())
  if (reader === undefined) return undefined
  const id = repositoryIdAt(path, from, length)
  return id === undefined ? undefined : reader(path, at, { type, id }, query)
}

const gitEnding = /\.git$/i

function withoutGit(segment = ''): string {
  return segment.replace(gitEnding, '')
}

/** The id of `length` segments from `from` on, without `.git`, which git's URLs have behind it. */
export function repositoryIdAt({ segments }: TargetPath, from: number, length: 1 | 2): string | undefined {
  const first = segments[from] ?? ''
  if (length === 1) {
    const name = withoutGit(first)
    return isNamespace(name) ? name : undefined
  }
  const name = withoutGit(segments[from + 1])
  return isNamespace(first) && isRepositoryName(name) ? `${first}/${name}` : undefined
}

/** Narrows to what can be mirrored; kernels and buckets are only passed on. */
export function canBeMirrored(repository: NamedRepository): repository is Repository {
  return repository.type !== 'kernel' && repository.type !== 'bucket'
}

const bareRefKinds = new Set(['pr', 'convert', 'heads', 'tags'])

/**
 * The revision that begins at `at`, and where the path behind it does. A revision is one encoded segment
 * (`refs%2Fpr%2F1`); some clients leave the slashes of `refs/pr/1` and `refs/convert/parquet` bare, and git's own names
 * (`refs/heads/main`) are read likewise: three segments, no more, for a path may follow.
 */
export function takeRevision({ segments, joined }: TargetPath, at: number): [revision: string, next: number] {
  let next = at + 1
  if (segments[at] === 'refs' && at + 2 < segments.length && bareRefKinds.has(segments[at + 1] ?? '')) next = at + 3
  while (joined?.[next] === true) next++
  return [next === at + 1 ? (segments[at] ?? '') : segments.slice(at, next).join('/'), next]
}

/** The revision that the path ends with: where no path can follow, a ref's slashes may all be bare. */
export function takeLastRevision(path: TargetPath, at: number): string | undefined {
  if (path.segments[at] === 'refs') return path.segments.slice(at).join('/')
  const [revision, next] = takeRevision(path, at)
  return next === path.segments.length ? revision : undefined
}

/** A revision as git allows it, or why nothing can be there. */
export function checkRevision(revision: string): InvalidTarget | undefined {
  if (isRevision(revision)) return undefined
  return new InvalidTarget('RevisionNotFound', 404, `Invalid rev id: ${quoted(revision)} is no name that git allows`)
}

export function noSuchEntry(path: string): InvalidTarget {
  return new InvalidTarget('EntryNotFound', 404, `Entry not found: "${quoted(path)}" can be no file of a repository`)
}
