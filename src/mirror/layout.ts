import { parseRepositoryFolder, type Repository, repositoryFolder } from '../hub/index.ts'

/**
 * Where things lie in a storage.
 *
 *     mirrorface.json                                        {"layout": 2}
 *     blobs/sha256/ab/abcd…                                  content, immutable, shared
 *     repositories/models--org--name/commits/<commit>.json   a manifest
 *     repositories/models--org--name/refs/<ref>.json         which commit a branch or tag is at
 *
 * Written in the order blobs, manifest, ref, and removed in the reverse, so that a reader never
 * meets a manifest whose blobs are missing.
 */
export const layoutVersion = 2

export const markerKey = 'mirrorface.json'
export const blobsPrefix = 'blobs/sha256'
export const repositoriesPrefix = 'repositories'

export function blobKey(sha256: string): string {
  return `${blobsPrefix}/${sha256.slice(0, 2)}/${sha256}`
}

export function parseBlobKey(key: string): string | undefined {
  return /^blobs\/sha256\/([0-9a-f]{2})\/(\1[0-9a-f]{62})$/.exec(key)?.[2]
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
  | { readonly kind: 'ref'; readonly repository: Repository; readonly ref: string }

/** What a key below `repositories/` holds; `undefined` for one that the layout never makes. */
export function parseRepositoryKey(key: string): RepositoryObject | undefined {
  const match = /^repositories\/([^/]+)\/(commits|refs)\/([^/]+)\.json$/.exec(key)
  const repository = parseRepositoryFolder(match?.[1] ?? '')
  const name = match?.[3] ?? ''
  if (repository === undefined) return undefined
  if (match?.[2] === 'commits') {
    return /^[0-9a-f]{40}$/.test(name) ? { kind: 'manifest', repository, commit: name } : undefined
  }
  try {
    const ref = decodeURIComponent(name)
    return refKey(repository, ref) === key ? { kind: 'ref', repository, ref } : undefined
  } catch {
    return undefined // decodeURIComponent throws for nothing but malformed input
  }
}
