import type { HeaderList } from '../plugin/index.ts'
import type { Reply } from './reply.ts'

/** JSON of this server's own: health, misses. */
export function ownJson(status: number, value: unknown): Reply {
  return ownReply(status, JSON.stringify(value), [['content-type', 'application/json; charset=utf-8']])
}

export function ownReply(status: number, text: string, headers: HeaderList): Reply {
  return {
    status,
    headers: [...headers, ['x-content-type-options', 'nosniff']],
    body: { kind: 'bytes', bytes: Buffer.from(text) },
    source: 'mirrorface',
    outcome: 'own',
  }
}
