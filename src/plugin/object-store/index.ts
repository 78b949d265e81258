/** What storages on services of objects (GCS, S3, Azure) share. */
export { assertContent } from './assert-content.ts'
export { Crc32c } from './crc32c.ts'
export { partsOf } from './cut-into-parts.ts'
export type { ObjectService } from './object-service.ts'
export { retryTransient } from './retry-transient.ts'
export { unlessAborted } from './unless-aborted.ts'
export { type PartedUpload, uploadInParts } from './upload-in-parts.ts'
export { writeObjects } from './write-objects.ts'
