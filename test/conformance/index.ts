export type { StorageFixture } from './fixture.ts'
export * from './storage.ts'
export * from './upstream.ts'
