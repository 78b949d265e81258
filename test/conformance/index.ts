export type { StorageFixture } from './fixture.ts'
export * from './storage.ts'
export { describeUpstream, type OpenUpstream, type UpstreamFixture } from './upstream.ts'
export * from './upstream-request.ts'
