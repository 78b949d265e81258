import { spellAddress } from './format-target.ts'
import {
  exact,
  type Reading,
  type Route,
  type RouteReader,
  readRepositoryRoute,
  repositoryIdAt,
} from './route-reading.ts'
import type { NamedRepository } from './target.ts'
import { spellSegments, type TargetPath } from './target-path.ts'

const readers = new Map<string, RouteReader>([
  ['manifests', readManifest],
  ['blobs', readBlob],
])

/** `/v2/{repository}/manifests|blobs/…`: the Hub as a registry of OCI images, which Ollama and llama.cpp ask. */
export function readRegistryRoute(path: TargetPath): Route | undefined {
  const route = readRepositoryRoute(path, 1, 'model', readers)
  if (route !== undefined) return route
  const id = repositoryIdAt(path, 1, 2)
  if (id === undefined) return undefined
  const repository = { type: 'model', id } as const
  return {
    address: { operation: 'repository-other', repository, route: path.segments[3]?.toLowerCase() ?? '' },
    path: `/v2/${id}${spellSegments(path, 3)}`,
    readings: [repository],
  }
}

function readManifest(path: TargetPath, at: number, repository: NamedRepository): Reading | undefined {
  const reference = path.segments[at + 1]
  if (reference === undefined || path.segments.length !== at + 2) return undefined
  const address = { operation: 'oci-manifest', repository, reference } as const
  return exact(address, spellAddress(address))
}

const digestPattern = /^[a-z0-9]+:[0-9a-f]+$/

function readBlob(path: TargetPath, at: number, repository: NamedRepository): Reading | undefined {
  const digest = path.segments[at + 1]
  if (digest === undefined || path.segments.length !== at + 2 || !digestPattern.test(digest)) return undefined
  const address = { operation: 'oci-blob', repository, digest } as const
  return exact(address, spellAddress(address))
}
