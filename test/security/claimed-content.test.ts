import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { setStage } from '../support/server.ts'

const weights = syntheticContent(6_000_000, 77)

async function sha256Of(response: Response): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of response.body ?? []) hash.update(bytes)
  return hash.digest('hex')
}

/** Content that is stored for one repository is given for another only where the Hub gives it there. */
describe('a listing that claims the SHA-256 of content which its repository does not have', function () {
  this.timeout(60_000)

  for (const status of [401, 403, 404])
    it(`opens nothing of what is stored: the Hub says ${status}`, async () => {
      await using stage = await setStage(
        (hub) => {
          hub.add({ type: 'model', id: 'org/real' }).commit({ 'w.safetensors': weights })
          hub.add({ type: 'model', id: 'org/again' }).commit({ 'other-name.safetensors': weights })
          hub.add({ type: 'model', id: 'evil/claims' }).commit({ 'w.safetensors': weights })
          hub.faults = ({ url }) => (url.startsWith('/evil/claims/resolve/') ? { kind: 'status', status } : undefined)
        },
        ['--pull-through', '--follow-hosts', '127.0.0.2'],
      )
      const pulled = await stage.get('/org/real/resolve/main/w.safetensors', { redirect: 'follow' })
      expect(await sha256Of(pulled)).to.equal(weights.sha256)
      const claimed = await stage.get('/evil/claims/resolve/main/w.safetensors', { redirect: 'follow' })
      expect(await sha256Of(claimed).catch(() => 'cut')).to.not.equal(weights.sha256)
      expect(claimed.status).to.equal(status)
      const shared = await stage.get('/org/again/resolve/main/other-name.safetensors', { redirect: 'follow' })
      expect(await sha256Of(shared), 'what the Hub gives is still not fetched twice').to.equal(weights.sha256)
      const fetches = stage.hub
        .requestsOf('cdn')
        .filter(({ method, headers: { range = 'bytes=0-' } }) => method === 'GET' && range.startsWith('bytes=0-'))
      expect(fetches).to.have.length(1)
    })
})
