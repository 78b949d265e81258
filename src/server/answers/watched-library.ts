import type { Method, Target } from '../../hub/index.ts'
import type { Snapshot } from '../../mirror/index.ts'
import type { ReadableLibrary } from '../gate/readable-library.ts'

type Watched = Pick<ReadableLibrary, 'find' | 'refs'>

/** A library that remembers what it was last found to have: for the log, and only where that is wanted. */
export class WatchedLibrary implements Watched {
  readonly #library: Watched
  #found: Snapshot | undefined

  constructor(library: Watched) {
    this.#library = library
  }

  async find(...look: Parameters<Watched['find']>): Promise<Snapshot | undefined> {
    this.#found = await this.#library.find(...look)
    return this.#found
  }

  refs(...look: Parameters<Watched['refs']>): ReturnType<Watched['refs']> {
    return this.#library.refs(...look)
  }

  /** Why no reply was made from it. */
  whyNot(method: Method, target: Target): string {
    if (!answered.has(target.operation)) return 'nothing that is mirrored answers this'
    if (method !== 'GET' && method !== 'HEAD' && target.operation !== 'paths-info') return 'it is no question'
    if (this.#found === undefined) return 'no such revision is mirrored, as far as this client may see'
    if (!('path' in target)) return 'it was not recorded when the revision was mirrored'
    return 'the content was left out when the revision was mirrored'
  }
}

/** Operations that the library may answer. */
const answered: ReadonlySet<Target['operation']> = new Set<Target['operation']>([
  'info',
  'tree',
  'treesize',
  'refs',
  'commits',
  'paths-info',
  'resolve',
  'resolve-cache',
  'raw',
  'oci-manifest',
  'oci-blob',
])
