import { LRUCache } from 'lru-cache'
import { formatRepository, type Repository, repositoryTypes, type Target } from '../../hub/index.ts'

/** How often, and with how many bytes, a repository was answered by an upstream. */
export interface Miss {
  readonly type: Repository['type']
  readonly id: string
  readonly requests: number
  readonly bytes: number
  readonly lastAt: string
}

/** What a reader asked for. */
export interface Wanted {
  readonly repository: Repository
  readonly revision: string
  /** Absent: the revision itself. */
  readonly path?: string
}

export interface CountedMiss {
  readonly miss: Miss
  /** What was missed last: whether it is mirrored by now is to be looked up. */
  readonly wanted: Wanted
}

/** Repositories counted; the least recently asked for are forgotten first. */
const mostRepositories = 10_000

/** Counts what clients wanted and no storage had: what to mirror next. */
export class Misses {
  readonly #counted = new LRUCache<string, CountedMiss>({ max: mostRepositories })

  /** Told of every miss that this process counts first. */
  onAdd: (wanted: Wanted, bytes: number) => void = () => undefined

  add(wanted: Wanted, bytes: number): void {
    this.count(wanted, bytes)
    this.onAdd(wanted, bytes)
  }

  count(wanted: Wanted, bytes: number): void {
    const { type, id } = wanted.repository
    const key = formatRepository(wanted.repository)
    const before = this.#counted.get(key)?.miss
    const miss = {
      type,
      id,
      requests: (before?.requests ?? 0) + 1,
      bytes: (before?.bytes ?? 0) + bytes,
      lastAt: new Date().toISOString(),
    }
    this.#counted.set(key, { miss, wanted })
  }

  /** Unless more was missed of it since it was listed. */
  forget(counted: CountedMiss): void {
    const key = formatRepository(counted.wanted.repository)
    if (this.#counted.peek(key) === counted) this.#counted.delete(key)
  }

  /** Most requests first. */
  list(): CountedMiss[] {
    return [...this.#counted.values()].toSorted(
      ({ miss: a }, { miss: b }) => b.requests - a.requests || b.bytes - a.bytes,
    )
  }
}

/** What a request wants that could be mirrored; `undefined`: nothing, it writes, or asks for what no storage has. */
export function wantedBy(method: string, target: Target): Wanted | undefined {
  if (method !== 'GET' && method !== 'HEAD') return undefined
  switch (target.operation) {
    case 'info':
      return wanted(target.repository, target.revision ?? 'main')
    case 'tree':
      return wanted(target.repository, target.revision)
    case 'resolve':
    case 'resolve-cache':
    case 'raw':
      return wanted(target.repository, target.revision, target.path)
    default:
      return undefined
  }
}

function wanted({ type, id }: Repository, revision: string, path?: string): Wanted | undefined {
  // Of other types there is nothing to mirror, whatever a target names.
  if (!repositoryTypes.some((one) => one === type)) return undefined
  return { repository: { type, id }, revision, ...(path !== undefined && { path }) }
}
