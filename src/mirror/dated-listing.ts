import type { RevisionListing } from '../hub/index.ts'

/** What the source said of a revision, and when it was asked: files of a commit stay, but who may read it changes. */
export interface DatedListing {
  readonly listing: RevisionListing
  readonly listedAt: Date
}

/** When the source said it: by its own clock, where it told the time. */
export function saidAt({ listing, listedAt }: DatedListing): Date {
  return listing.saidAt ?? listedAt
}
