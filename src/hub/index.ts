export * from './byte-range.ts'
export { listOf, mostJsonValues, parseClientJson, parseClientJsonLines, UnreadableJson } from './client-json.ts'
export * from './decoded-again.ts'
export * from './errors.ts'
export * from './etag.ts'
export * from './failure.ts'
export * from './file-path.ts'
export {
  formatTarget,
  namedByBody,
  type QueryInput,
  type SpelledAddress,
  type SpelledOperation,
} from './format-target.ts'
export * from './git.ts'
export * from './listing-size.ts'
export { type ParsedTarget, parseTarget } from './parse-target.ts'
export * from './repository.ts'
export * from './request-kind.ts'
export * from './revision.ts'
export { deepestJson, mostKeys } from './scan-json.ts'
export * from './shapes.ts'
export * from './target.ts'
