export type { ServerParts, ServerSettings } from './context.ts'
export { BufferPool } from './delivery/buffer-pool.ts'
export { FileDelivery } from './delivery/file-delivery.ts'
export { type ListenOptions, type RunningServer, startServer } from './server.ts'
