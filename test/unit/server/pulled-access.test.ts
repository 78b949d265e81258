import { expect } from 'chai'
import { syntheticContent } from '../../hub/index.ts'
import { startMirrorFace } from '../../support/processes.ts'
import { setStage } from '../../support/server.ts'

/** What the Hub says of each kind of repository, and to whom. */
const kinds = { public: {}, auto: { gated: 'auto' }, manual: { gated: 'manual' }, private: { private: true } } as const
const tokens = [undefined, 'hf_valid', 'hf_granted', 'hf_stranger', 'hf_made_up']
const paths = ['config.json', 'empty.txt', 'w.safetensors']

async function ask(base: string, place: string, method: string, token: string | undefined) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await fetch(base + place, { method, headers, redirect: 'manual' })
  await answer.arrayBuffer()
  return answer.status >= 400 ? `${answer.status} ${answer.headers.get('x-error-code')}` : 'given'
}

/** Compared with what the Hub says to the same question, for every kind of repository, method, file and client. */
describe('what was pulled for one client', function () {
  this.timeout(60_000)

  for (const access of ['open', 'hub'])
    it(`is given to those who may read it at the Hub, and passed on to none else (access: ${access})`, async () => {
      await using stage = await setStage(
        (hub) => {
          for (const [kind, traits] of Object.entries(kinds)) {
            const repository = hub.add({ type: 'model', id: `org/${kind}`, ...traits })
            repository.commit({
              'config.json': `{"kind": "${kind}"}`,
              'empty.txt': '',
              'w.safetensors': syntheticContent(50_000, kind.length),
            })
            repository.accessRequests.set('granted', 'accepted')
          }
          for (const name of ['granted', 'stranger'])
            hub.tokens.add(`hf_${name}`, { name, fullname: name, organizations: [] })
        },
        ['--access', access, '--pull-through', '--follow-hosts', '127.0.0.2'],
      )
      const { hub, directory } = stage
      const places = Object.keys(kinds).flatMap((kind) => paths.map((path) => `/org/${kind}/resolve/main/${path}`))
      for (const place of places)
        for (const method of ['HEAD', 'GET']) await ask(stage.server.endpoint, place, method, 'hf_granted')
      // Once it has ended, all that it began to pull is kept.
      await stage.server.stop()
      const settings = ['--local-directory', directory, '--upstream-url', hub.url, '--access', access, '--pull-through']
      const again = await startMirrorFace([...settings, '--follow-hosts', '127.0.0.2'])
      try {
        for (const place of places)
          for (const method of ['HEAD', 'GET'])
            for (const token of tokens) {
              // What is public is everybody's where access is open, and nobody is asked whose token it is.
              const isEverybodys = access === 'open' && place.startsWith('/org/public/')
              const expected = isEverybodys ? 'given' : await ask(hub.url, place, method, token)
              const found = await ask(again.endpoint, place, method, token)
              expect(found, `${method} ${place} by ${token}`).to.equal(expected)
            }
      } finally {
        await again.stop()
      }
    })
})
