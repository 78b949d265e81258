/** What a plugin imports: `import { definePlugin } from 'mirrorface/plugin'`. */
export { type ByteRange, parseRange } from '../hub/byte-range.ts'
export { HubFailure } from '../hub/errors.ts'
export { quoteETag, unquoteETag } from '../hub/etag.ts'
export { describeError, Failure, UsageFailure } from '../hub/failure.ts'
export { formatTarget } from '../hub/format-target.ts'
export { parseTarget } from '../hub/parse-target.ts'
export {
  type Address,
  type Method,
  mayOpenXet,
  type NamedRepository,
  type Operation,
  type Target,
} from '../hub/target.ts'
export { BodyReader, type BodyReaderOptions } from './body-reader.ts'
export { type ContentHash, ContentHasher } from './content-hash.ts'
export * from './define.ts'
export { discard } from './discard.ts'
export * from './errors.ts'
export * from './object-store/index.ts'
export { ReadingBudget } from './reading-budget.ts'
export { bodyOfBytes, bodyOfRequest, hasBody } from './request-body.ts'
export { keyOfRights } from './rights-key.ts'
export type * from './storage.ts'
export { bucketOf, directoryOf } from './storage-urls.ts'
export type * from './upstream.ts'
