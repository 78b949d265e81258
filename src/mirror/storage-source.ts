import {
  Failure,
  formatRepository,
  isCommit,
  type RefKind,
  type Repository,
  type RevisionListing,
  repositoryInfoSchema,
  shortRevision,
  type TreeEntry,
} from '../hub/index.ts'
import type { ContentSource, Storage } from '../plugin/index.ts'
import { blobKey } from './layout.ts'
import { blobNameOf, type Manifest, type Ref } from './manifest.ts'
import { readManifest, readRef } from './metadata.ts'
import type { OpenOptions, RepositorySource } from './mirroring.ts'

/** Another storage as the source of repositories: to promote what was checked, without the Hub. */
export class StorageSource implements RepositorySource {
  readonly origin: string
  readonly #storage: Storage

  constructor(storage: Storage, origin: string) {
    this.#storage = storage
    this.origin = origin
  }

  async describe(repository: Repository, revision: string): Promise<RevisionListing> {
    const name = shortRevision(revision)
    const ref = isCommit(name) ? undefined : await readRef(this.#storage, repository, name)
    const commit = ref?.commit ?? name
    const manifest = isCommit(commit) ? await readManifest(this.#storage, repository, commit) : undefined
    if (manifest === undefined) {
      throw new Failure(
        'RevisionNotFound',
        404,
        `${formatRepository(repository)}@${revision} is not mirrored in ${this.origin}`,
      )
    }
    const kind: RefKind | undefined = ref?.kind
    return {
      commit: manifest.commit,
      ...(kind !== undefined && { ref: { name, kind } }),
      ...dateOf(ref, manifest),
      info: repositoryInfoSchema.parse({ ...manifest.info, id: repository.id, sha: manifest.commit }),
      commits: manifest.commits.map((entry) => ({ ...entry, id: String(entry.id), title: String(entry.title) })),
      files: manifest.files.map((file) => ({
        type: 'file' as const,
        path: file.path,
        size: file.size,
        oid: file.oid,
        ...(file.lfs !== undefined && {
          lfs: { oid: file.lfs.sha256, size: file.size, pointerSize: file.lfs.pointerSize },
        }),
      })),
      absent: new Set(manifest.files.filter(({ blob }) => blob === null).map(({ path }) => path)),
      directories: manifest.directories,
    }
  }

  open(repository: Repository, commit: string, file: TreeEntry, { signal, onReceived }: OpenOptions): ContentSource {
    const storage = this.#storage
    const { origin } = this
    return async function* (start) {
      const manifest = await readManifest(storage, repository, commit)
      const found = manifest?.files.find(({ path }) => path === file.path)
      const name = found && blobNameOf(found)
      if (name === undefined) throw new Failure('EntryNotFound', 404, `${file.path} is not mirrored in ${origin}`)
      const range = start === 0 ? {} : { range: { start, end: file.size - 1 } }
      for await (const bytes of await storage.read(blobKey(name), { signal, ...range })) {
        onReceived?.(bytes.length)
        yield bytes
      }
    }
  }
}

/** When the Hub said it, as far as the storage knows. */
function dateOf(ref: Ref | undefined, { saidAt, mirroredAt }: Manifest): { saidAt?: Date } {
  const said = ref === undefined ? (saidAt ?? mirroredAt) : ref.saidAt
  return said === undefined ? {} : { saidAt: new Date(said) }
}
