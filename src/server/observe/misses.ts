import { LRUCache } from 'lru-cache'
import { formatRepository, type Repository } from '../../hub/index.ts'

/** How often, and with how many bytes, a repository was answered by an upstream. */
export interface Miss {
  readonly type: Repository['type']
  readonly id: string
  readonly requests: number
  readonly bytes: number
  readonly lastAt: string
}

/** Repositories counted; the least recently asked for are forgotten first. */
const mostRepositories = 10_000

/** Counts what clients wanted and no storage had: what to mirror next. */
export class Misses {
  readonly #counted = new LRUCache<string, Miss>({ max: mostRepositories })

  /** Told of every miss that this process counts first. */
  onAdd: (repository: Repository, bytes: number) => void = () => undefined

  add(repository: Repository, bytes: number): void {
    this.count(repository, bytes)
    this.onAdd(repository, bytes)
  }

  count(repository: Repository, bytes: number): void {
    const key = formatRepository(repository)
    const before = this.#counted.get(key)
    this.#counted.set(key, {
      type: repository.type,
      id: repository.id,
      requests: (before?.requests ?? 0) + 1,
      bytes: (before?.bytes ?? 0) + bytes,
      lastAt: new Date().toISOString(),
    })
  }

  /** Most requests first. */
  list(limit = mostRepositories): Miss[] {
    return [...this.#counted.values()].toSorted((a, b) => b.requests - a.requests || b.bytes - a.bytes).slice(0, limit)
  }
}
