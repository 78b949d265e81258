export { describeStorage, type StorageFixture } from './storage.ts'
export { describeUpstream, type OpenUpstream } from './upstream.ts'
