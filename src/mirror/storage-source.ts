import type { Readable } from 'node:stream'
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
import type { ByteRange, ContentSource, OperationOptions, Storage } from '../plugin/index.ts'
import { blobKey, manifestKey } from './layout.ts'
import { blobNameOf, type Manifest, type Ref } from './manifest.ts'
import { readManifest, readRef } from './metadata.ts'
import type { OpenOptions, RepositorySource } from './mirroring.ts'

interface NamedFiles {
  readonly manifest: string
  readonly names: Promise<ReadonlyMap<string, string>>
}

/** Another storage as the source of repositories: to promote what was checked, without the Hub. */
export class StorageSource implements RepositorySource {
  readonly origin: string
  readonly #storage: Storage
  /** Blob names by path, of the commit that was asked for last: a manifest of many files takes seconds to read. */
  #named: NamedFiles | undefined

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
    const read = (start: number) => {
      const range = start === 0 ? {} : { range: { start, end: file.size - 1 } }
      return this.#read(repository, commit, file.path, { signal, ...range })
    }
    return async function* (start) {
      for await (const bytes of await read(start)) {
        onReceived?.(bytes.length)
        yield bytes
      }
    }
  }

  async #read(
    repository: Repository,
    commit: string,
    path: string,
    options: OperationOptions & { readonly range?: ByteRange },
  ): Promise<Readable> {
    const manifest = manifestKey(repository, commit)
    const isKept = this.#named?.manifest === manifest
    const named = this.#named?.manifest === manifest ? this.#named : this.#keepNames(manifest, repository, commit)
    const name = (await named.names).get(path)
    try {
      if (name !== undefined) return await this.#storage.read(blobKey(name), options)
      if (!isKept) throw new Failure('EntryNotFound', 404, `${path} is not mirrored in ${this.origin}`)
    } catch (error) {
      if (!isKept || !(error instanceof Failure && error.code === 'ObjectNotFound')) throw error
    }
    // Since the manifest was read, the file may have been stored under another name.
    this.#named = undefined
    return await this.#read(repository, commit, path, options)
  }

  #keepNames(manifest: string, repository: Repository, commit: string): NamedFiles {
    const named = { manifest, names: this.#readNames(repository, commit) }
    this.#named = named
    named.names.catch(() => {
      if (this.#named === named) this.#named = undefined
    })
    return named
  }

  async #readNames(repository: Repository, commit: string): Promise<ReadonlyMap<string, string>> {
    const manifest = await readManifest(this.#storage, repository, commit)
    return new Map(
      manifest?.files.flatMap((file) => {
        const name = blobNameOf(file)
        return name === undefined ? [] : [[file.path, name] as const]
      }),
    )
  }
}

/** When the Hub said it, as far as the storage knows. */
function dateOf(ref: Ref | undefined, { saidAt, mirroredAt }: Manifest): { saidAt?: Date } {
  const said = ref === undefined ? (saidAt ?? mirroredAt) : ref.saidAt
  return said === undefined ? {} : { saidAt: new Date(said) }
}
