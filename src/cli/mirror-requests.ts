import { type ListedRepository, readRepositoryList } from '../config/index.ts'
import { parseRepository, parseRevision, type RepositoryType, UsageFailure } from '../hub/index.ts'
import type { MirrorRequest } from '../mirror/index.ts'
import { fetchMisses } from './fetch-misses.ts'

/** What the flags of `mirrorface mirror` say of what to mirror. */
export interface Wanted {
  /** As a person typed them. */
  readonly names: readonly string[]
  readonly type: RepositoryType
  readonly revisions: readonly string[]
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  /** A YAML file. */
  readonly list: string | undefined
  /** A server's URL. */
  readonly missesOf: string | undefined
  readonly minRequests: number
}

/** A request for each revision of the repositories that were named, listed, or missed by a server. */
export async function requestsFor(wanted: Wanted, signal: AbortSignal): Promise<MirrorRequest[]> {
  const { include, exclude } = wanted
  const listed = wanted.list === undefined ? [] : await readRepositoryList(wanted.list)
  const named = wanted.names.map((name) => ({
    repository: parseRepository(wanted.type, name),
    revisions: wanted.revisions.map(parseRevision),
    include,
    exclude,
  }))
  // There may be no misses; that nothing at all was named is a mistake.
  if (wanted.missesOf === undefined && listed.length + named.length === 0)
    throw new UsageFailure('name a repository: mirrorface mirror namespace/name')
  const missed = wanted.missesOf === undefined ? [] : await fetchMisses(wanted.missesOf, signal)
  const entries: ListedRepository[] = [
    ...listed,
    ...named,
    ...missed
      .filter(({ requests }) => requests >= wanted.minRequests)
      .map(({ type, id }) => ({ repository: parseRepository(type, id), revisions: ['main'], include, exclude })),
  ]
  return entries.flatMap(({ revisions, ...entry }) => revisions.map((revision) => ({ ...entry, revision })))
}
