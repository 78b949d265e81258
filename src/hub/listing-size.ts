import { Failure } from './failure.ts'
import type { RevisionListing, TreeEntry } from './shapes.ts'

/** A listing would take more memory than it may. */
export class ListingTooLarge extends Failure {
  constructor(memory: number) {
    super('ListingTooLarge', 502, `the list of its files is larger than ${memory} bytes`)
  }
}

/** Bytes of memory that an entry takes, as measured, and rather more than less. */
export function sizeOfEntry({ path, lfs, xetHash = '' }: TreeEntry): number {
  return 160 + 2 * path.length + (lfs === undefined ? 0 : 136) + 2 * xetHash.length
}

export function sizeOfListing({ info, commits, files, directories }: RevisionListing): number {
  let size = 2 * JSON.stringify([info, commits]).length
  for (const file of files) size += sizeOfEntry(file)
  for (const { path } of directories) size += 160 + 2 * path.length
  return size
}
