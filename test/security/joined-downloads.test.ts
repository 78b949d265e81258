import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { setStage } from '../support/server.ts'

/** What the Hub says of each kind of repository, and to whom. */
const kinds = {
  public: {},
  auto: { gated: 'auto' },
  manual: { gated: 'manual' },
  private: { private: true },
} as const
const path = (kind: string) => `/org/${kind}/resolve/main/w.safetensors`
const tokens = [undefined, 'hf_valid', 'hf_granted', 'hf_stranger', 'hf_made_up']
const asToken = (token: string | undefined) => (token === undefined ? {} : { authorization: `Bearer ${token}` })

/**
 * Downloads under way are shared by all who want them: whoever joins one must be let by the Hub. Compared with what the
 * Hub says to the same question, for every kind of repository, method and client, while somebody's download runs.
 */
describe('a download that somebody else has begun', function () {
  this.timeout(60_000)

  for (const [kind, traits] of Object.entries(kinds))
    it(`is joined by those who may read it at the Hub: ${kind}`, async () => {
      await using stage = await setStage(
        (hub) => {
          const repository = hub.add({ type: 'model', id: `org/${kind}`, ...traits })
          repository.commit({ 'w.safetensors': syntheticContent(3_000_000, 5) })
          repository.accessRequests.set('granted', 'accepted')
          for (const name of ['granted', 'stranger'])
            hub.tokens.add(`hf_${name}`, { name, fullname: name, organizations: [] })
          hub.faults = ({ server }) => (server === 'cdn' ? { kind: 'slow', bytesPerSecond: 300_000 } : undefined)
        },
        ['--access', 'hub', '--pull-through', '--follow-hosts', '127.0.0.2', '--grace-period', '100'],
      )
      const leaving = new AbortController()
      const ask = async (base: string, method: string, token: string | undefined) => {
        const answer = await fetch(base + path(kind), {
          method,
          headers: asToken(token),
          redirect: 'manual',
          signal: leaving.signal,
        })
        const { status, headers } = answer
        void answer.body?.cancel().catch(() => undefined)
        return status >= 400 ? `${status} ${headers.get('x-error-code')}` : 'given'
      }
      const first = await fetch(`${stage.server.endpoint}${path(kind)}`, {
        headers: asToken('hf_valid'),
        signal: leaving.signal,
      })
      expect(first.status).to.equal(200)
      try {
        for (const method of ['HEAD', 'GET'])
          for (const token of tokens) {
            const expected = await ask(stage.hub.url, method, token)
            expect(await ask(stage.server.endpoint, method, token), `${method} by ${token}`).to.equal(expected)
          }
      } finally {
        leaving.abort()
      }
    })
})
