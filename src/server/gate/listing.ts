import { isPickle } from './pickle-names.ts'

/** What the files of a revision decide, and no more: many are kept. */
export interface Listing {
  readonly hasSafetensors: boolean
  /** Of each large file, by the SHA-256 of its content: the path of a pickle file that has it, if one does. */
  readonly contents: ReadonlyMap<string, string | undefined>
}

export function listingOf(files: Iterable<readonly [path: string, sha256: string | undefined]>): Listing {
  let hasSafetensors = false
  const contents = new Map<string, string | undefined>()
  for (const [path, sha256] of files) {
    hasSafetensors ||= path.toLowerCase().endsWith('.safetensors')
    if (sha256 !== undefined) contents.set(sha256, contents.get(sha256) ?? (isPickle(path) ? path : undefined))
  }
  return { hasSafetensors, contents }
}

/** Bytes of memory; less than those of the Hub's answer, so that whatever was read can be kept. */
export function sizeOfListing({ contents }: Listing): number {
  let size = 256
  for (const path of contents.values()) size += 144 + (path === undefined ? 0 : 2 * path.length)
  return size
}
