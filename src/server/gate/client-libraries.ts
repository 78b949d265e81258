import { formatRepository, type Repository } from '../../hub/index.ts'
import type { PluginLogger } from '../../plugin/index.ts'
import type { Client } from './client.ts'
import type { GateSettings } from './gate-settings.ts'
import { isPublic, LimitedLibrary, storedId } from './limited-library.ts'
import { views } from './passage.ts'
import type { ReadableLibrary } from './readable-library.ts'
import type { RepositoryPolicy } from './repository-policy.ts'
import type { Verdicts } from './verdicts.ts'

export interface LibraryViews {
  readonly settings: Pick<GateSettings, 'access' | 'serveNonPublic'>
  readonly library: ReadableLibrary
  readonly policy: RepositoryPolicy
  /** Absent: nobody can be asked, and what needs a verdict is shown to nobody. */
  readonly verdicts: Verdicts | undefined
  /** Told at `debug` why a client does not see what is stored. */
  readonly logger: PluginLogger
}

/** What is mirrored, as each client may see it. */
export class ClientLibraries {
  readonly #parts: LibraryViews
  /** Of this server's own pages, which are the same for whoever looks. */
  readonly anonymous: ReadableLibrary

  constructor(parts: LibraryViews) {
    this.#parts = parts
    this.anonymous =
      parts.settings.access === 'tokens'
        ? new LimitedLibrary(parts.library, () => false)
        : new LimitedLibrary(this.of({ kind: 'none', address: '' }, undefined), ({ repository }) =>
            parts.policy.serves(repository),
          )
  }

  /** @param request its id, for the log */
  of(client: Client, request: string | undefined): ReadableLibrary {
    const { library, settings, verdicts, logger } = this.#parts
    const hides = (repository: Repository, reason: string): false => {
      logger.debug({ request, repository: formatRepository(repository), reason }, 'stored, but not for this client')
      return false
    }
    switch (views[settings.access]) {
      case 'everything':
        return library
      case 'public':
        if (settings.serveNonPublic) return library
        return new LimitedLibrary(
          library,
          (snapshot) => isPublic(snapshot) || hides(snapshot.repository, 'it was not public when it was stored'),
        )
      case 'verdict':
        return new LimitedLibrary(
          library,
          async (snapshot) =>
            (await verdicts?.mayRead(snapshot.repository, client, storedId(snapshot))) === true ||
            hides(snapshot.repository, 'the Hub did not say that it may read it'),
          async (repository) => await verdicts?.mayRead(repository, client, undefined),
        )
    }
  }
}
