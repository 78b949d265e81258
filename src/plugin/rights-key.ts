import { createHash } from 'node:crypto'
import type { Rights } from './upstream.ts'

/** Tells rights apart without keeping tokens: what was learnt with some is not shown to others. */
export function keyOfRights(rights: Rights): string {
  const token = rights.use === 'client' ? rights.token : rights.use === 'service' ? rights.otherwise : undefined
  return token === undefined ? rights.use : `${rights.use} ${createHash('sha256').update(token).digest('base64url')}`
}
