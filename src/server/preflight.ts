import type { IncomingHttpHeaders } from 'node:http'
import type { HeaderList } from '../plugin/index.ts'
import type { Reply } from './reply.ts'

const allowed = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** `OPTIONS` is answered here; the writer adds which origin is allowed, if any. */
export function preflightReply(headers: IncomingHttpHeaders): Reply {
  const asked = headers['access-control-request-headers']
  const isPreflight = headers['access-control-request-method'] !== undefined
  const preflight: HeaderList = [
    ['access-control-allow-methods', allowed],
    ['access-control-allow-headers', asked ?? '*'],
    ['access-control-max-age', '86400'],
  ]
  return {
    status: 204,
    headers: [['allow', allowed], ...(isPreflight ? preflight : [])],
    body: { kind: 'none' },
    source: 'mirrorface',
    outcome: 'own',
  }
}
