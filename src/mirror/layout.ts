import { createHash } from 'node:crypto'
import { parseRepositoryFolder, type Repository, repositoryFolder } from '../hub/index.ts'

/**
 * Where things lie in a storage; `docs/storage-protocol.md` says how they change.
 *
 *     mirrorface.json                                        {"layout": 3}
 *     blobs/sha256/ab/abcd…                                  content, immutable, shared
 *     blobs/sha256/ab/abcd….12                               the same content, stored after entry 12 condemned the former name
 *     repositories/models--org--name/commits/<commit>.json   a manifest
 *     repositories/models--org--name/pulled/<commit>/<h>.json  a journal entry: one file that was pulled through
 *     repositories/models--org--name/refs/<ref>.json         which commit a branch or tag is at
 *     deletions/000000012.json                               an entry of the deletion log
 *     leases/<run>.json                                      a run that is under way
 */
export const layoutVersion = 3

/** Layout 2 has no revisions, claims or deletion log; it is read, and upgraded by the first writer. */
export const readableLayouts: readonly number[] = [2, layoutVersion]

export const markerKey = 'mirrorface.json'
export const blobsPrefix = 'blobs/sha256'
export const repositoriesPrefix = 'repositories'
export const deletionsPrefix = 'deletions'
export const leasesPrefix = 'leases'

/** A blob's name below {@link blobsPrefix}: its SHA-256, and for a copy the log entry that condemned the name before. */
export function blobName(sha256: string, copy?: number): string {
  return copy === undefined ? sha256 : `${sha256}.${copy}`
}

/** The SHA-256 of the content that a name stands for. */
export function sha256OfName(name: string): string {
  return name.slice(0, 64)
}

export function blobKey(name: string): string {
  return `${blobsPrefix}/${name.slice(0, 2)}/${name}`
}

/** A blob's name; `undefined` for a key that the layout never makes. */
export function parseBlobKey(key: string): string | undefined {
  return /^blobs\/sha256\/([0-9a-f]{2})\/(\1[0-9a-f]{62}(?:\.[1-9][0-9]*)?)$/.exec(key)?.[2]
}

export function deletionKey(number: number): string {
  return `${deletionsPrefix}/${String(number).padStart(9, '0')}.json`
}

export function parseDeletionKey(key: string): number | undefined {
  const number = Number(/^deletions\/(\d{9,})\.json$/.exec(key)?.[1])
  return Number.isNaN(number) ? undefined : number
}

export function leaseKey(id: string): string {
  return `${leasesPrefix}/${id}.json`
}

export function parseLeaseKey(key: string): string | undefined {
  return /^leases\/([0-9a-f]+)\.json$/.exec(key)?.[1]
}

export function repositoryPrefix(repository: Repository): string {
  return `${repositoriesPrefix}/${repositoryFolder(repository)}`
}

export function commitsPrefix(repository: Repository): string {
  return `${repositoryPrefix(repository)}/commits`
}

export function refsPrefix(repository: Repository): string {
  return `${repositoryPrefix(repository)}/refs`
}

export function manifestKey(repository: Repository, commit: string): string {
  return `${commitsPrefix(repository)}/${commit}.json`
}

/** Where the journal of a commit's pulled files lies. */
export function journalPrefix(repository: Repository, commit: string): string {
  return `${repositoryPrefix(repository)}/pulled/${commit}`
}

/** The key of a pulled file's journal entry: a path may be longer than a key's segment, so it is hashed. */
export function journalKey(repository: Repository, commit: string, path: string): string {
  return `${journalPrefix(repository, commit)}/${createHash('sha256').update(path).digest('hex')}.json`
}

/** A ref's slashes and odd characters are percent-encoded, `%` being safe in a key. */
export function refKey(repository: Repository, ref: string): string {
  return `${refsPrefix(repository)}/${encodeRef(ref)}.json`
}

function encodeRef(ref: string): string {
  return encodeURIComponent(ref).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export type RepositoryObject =
  | { readonly kind: 'manifest'; readonly repository: Repository; readonly commit: string }
  | { readonly kind: 'pulled'; readonly repository: Repository; readonly commit: string }
  | { readonly kind: 'ref'; readonly repository: Repository; readonly ref: string }

/** What a key below `repositories/` holds; `undefined` for one that the layout never makes. */
export function parseRepositoryKey(key: string): RepositoryObject | undefined {
  const [, folder = '', name = ''] = /^repositories\/([^/]+)\/(.+)\.json$/.exec(key) ?? []
  const repository = parseRepositoryFolder(folder)
  if (repository === undefined) return undefined
  const commit = /^commits\/([0-9a-f]{40})$/.exec(name)?.[1]
  if (commit !== undefined) return { kind: 'manifest', repository, commit }
  const pulledCommit = /^pulled\/([0-9a-f]{40})\/[0-9a-f]{64}$/.exec(name)?.[1]
  if (pulledCommit !== undefined) return { kind: 'pulled', repository, commit: pulledCommit }
  const encoded = /^refs\/([^/]+)$/.exec(name)?.[1]
  if (encoded === undefined) return undefined
  try {
    const ref = decodeURIComponent(encoded)
    return refKey(repository, ref) === key ? { kind: 'ref', repository, ref } : undefined
  } catch {
    return undefined // decodeURIComponent throws for nothing but malformed input
  }
}
