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
  readonly #whereAbsent: (repository: Repository) => unknown

  /**
   * @param whereAbsent does for what is not stored whatever `shows` does to find out, so that the questions which others
   * are asked, and the time that those take, do not tell what is stored
   */
  constructor(
    library: ReadableLibrary,
    shows: (snapshot: Snapshot) => boolean | Promise<boolean>,
    whereAbsent: (repository: Repository) => unknown = () => undefined,
  ) {
    this.#library = library
    this.#shows = shows
    this.#whereAbsent = whereAbsent
  }

  async find(...look: Parameters<ReadableLibrary['find']>): Promise<Snapshot | undefined> {
    const snapshot = await this.#library.find(...look)
    if (snapshot !== undefined) return (await this.#shows(snapshot)) ? snapshot : undefined
    await this.#whereAbsent(look[0])
    return undefined
  }

  async refs(...look: Parameters<ReadableLibrary['refs']>): Promise<MirroredRef[]> {
    return (await this.#showsRepository(look[0])) ? await this.#library.refs(...look) : []
  }

  async has(repository: Repository): Promise<boolean> {
    const isStored = await this.#library.has(repository)
    return (await this.#showsRepository(repository)) && isStored
  }

  /** The Hub's latest word on a repository is with the ref that moved last. */
  async #showsRepository(repository: Repository): Promise<boolean> {
    const refs = await this.#library.refs(repository, { pulled: true })
    const newest = refs.reduce<MirroredRef | undefined>(
      (latest, ref) => (latest === undefined || heardAt(ref) > heardAt(latest) ? ref : latest),
      undefined,
    )
    const snapshot =
      (newest === undefined ? undefined : await this.#library.find(repository, newest.commit)) ??
      (await this.#library.find(repository, 'main', { pulled: true }))
    if (snapshot !== undefined) return await this.#shows(snapshot)
    await this.#whereAbsent(repository)
    return false
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
