import { ownJson } from '../own-reply.ts'
import type { ReceivedRequest } from '../received-request.ts'
import type { Reply } from '../reply.ts'

/** Questions about a token of this mirror's own, of which the Hub knows nothing (docs/credentials.md). */
export function answerAboutOwnToken({ target, client, method }: ReceivedRequest): Reply | undefined {
  if (client.kind !== 'own' || (method !== 'GET' && method !== 'HEAD')) return undefined
  if (target.operation === 'auth-check') return ownJson(200, {}) // let pass by the gate: the token covers the repository
  if (target.operation !== 'whoami') return undefined
  const { name, write } = client.accessToken
  return ownJson(200, {
    type: 'user',
    id: name,
    name,
    fullname: name,
    orgs: [],
    auth: { type: 'access_token', accessToken: { displayName: name, role: write ? 'write' : 'read' } },
  })
}
