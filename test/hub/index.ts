export * from './content.ts'
export type * from './faults.ts'
export { HubRepository } from './repository.ts'
export { StandInHub } from './stand-in-hub.ts'
