import type { Repository } from '../../hub/index.ts'
import { heardAt, type MirroredRef, type Snapshot } from '../../mirror/index.ts'
import type { ReadableLibrary } from './readable-library.ts'

/**
 * A library in which some of what is stored is as if it were not there, so that nobody learns of a repository's
 * commits, or which files it lacks, who may not read it: the upstream is asked as for any other repository.
 */
export class LimitedLibrary implements ReadableLibrary {
  readonly #library: ReadableLibrary
  readonly #shows: (snapshot: Snapshot) => boolean | Promise<boolean>

  constructor(library: ReadableLibrary, shows: (snapshot: Snapshot) => boolean | Promise<boolean>) {
    this.#library = library
    this.#shows = shows
  }

  async find(...look: Parameters<ReadableLibrary['find']>): Promise<Snapshot | undefined> {
    const snapshot = await this.#library.find(...look)
    return snapshot !== undefined && (await this.#shows(snapshot)) ? snapshot : undefined
  }

  async refs(repository: Repository): Promise<MirroredRef[]> {
    const refs = await this.#library.refs(repository)
    return refs.length > 0 && (await this.#showsRepository(repository, refs)) ? refs : []
  }

  async has(repository: Repository): Promise<boolean> {
    if (!(await this.#library.has(repository))) return false
    return await this.#showsRepository(repository, await this.#library.refs(repository))
  }

  /** The Hub's latest word on a repository is with the ref that moved last. */
  async #showsRepository(repository: Repository, refs: readonly MirroredRef[]): Promise<boolean> {
    const newest = refs.reduce<MirroredRef | undefined>(
      (latest, ref) => (latest === undefined || heardAt(ref) > heardAt(latest) ? ref : latest),
      undefined,
    )
    const snapshot =
      (newest === undefined ? undefined : await this.#library.find(repository, newest.commit)) ??
      (await this.#library.find(repository, 'main', { pulled: true }))
    return snapshot !== undefined && (await this.#shows(snapshot))
  }
}

/** Whether the Hub gave this to everybody when it was stored. The Python tool recorded nothing, and mirrored such only. */
export function isPublic({ info }: Pick<Snapshot, 'info'>): boolean {
  return (info.private ?? false) === false && (info.gated ?? false) === false
}

/** The Hub's id of the repository that was stored, if it was recorded. */
export function storedId({ info }: Pick<Snapshot, 'info'>): string | undefined {
  return typeof info._id === 'string' ? info._id : undefined
}
