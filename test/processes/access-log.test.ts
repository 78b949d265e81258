import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { syntheticContent } from '../hub/index.ts'
import { setStage } from '../support/server.ts'
import { until } from './process-group.ts'

const weights = syntheticContent(40_000_000, 3)

/** How a stop ends what still runs. */
const endings = {
  'the end of the grace period': { gracePeriod: '300', again: false },
  'a second SIGTERM': { gracePeriod: '60000', again: true },
}
/** Each asks for something that is still under way when the server is stopped. */
const requests = {
  mirrored: '/org/model/resolve/main/w.safetensors',
  followed: '/org/other/resolve/main/w.safetensors',
  'not answered yet': '/api/models/org/silent',
}

describe('the log line of a request that a stop has cut', function () {
  this.timeout(90_000)

  for (const workers of ['1', '2'])
    for (const [ending, { gracePeriod, again }] of Object.entries(endings))
      it(`is there, once, after ${ending}, with workers: ${workers}`, async () => {
        await using stage = await setStage(
          (hub) => {
            for (const id of ['org/model', 'org/other']) {
              hub.add({ type: 'model', id }).commit({ 'w.safetensors': weights })
            }
            hub.faults = ({ url }) => (url.includes('silent') ? { kind: 'silence' } : undefined)
          },
          [
            '--workers',
            workers,
            '--redirects',
            'follow',
            '--follow-hosts',
            '127.0.0.2',
            ...(workers === '2' ? ['--no-sendfile'] : []),
          ],
          { MIRRORFACE_GRACE_PERIOD: gracePeriod },
        )
        await stage.mirror('org/model')
        const agent = new Agent()
        for (const [id, path] of Object.entries(requests)) {
          const asked = get(stage.server.endpoint + path, { agent, headers: { 'x-request-id': idOf(id) } })
          if (path.includes('silent')) {
            asked.on('error', () => undefined)
            await until('the Hub is asked', () => stage.hub.requests.some(({ url }) => url.includes('silent')))
          } else {
            const [response] = (await once(asked, 'response')) as [IncomingMessage]
            response.on('error', () => undefined) // and nothing is read of it
          }
        }
        stage.server.child.kill('SIGTERM')
        await until('it stops', () => stage.server.output().includes('"stopping:'))
        // At first the second counts as the first one, repeated.
        const repeated = again ? setInterval(() => stage.server.child.kill('SIGTERM'), 100) : undefined
        await once(stage.server.child, 'close')
        clearInterval(repeated)
        agent.destroy()
        for (const [id, path] of Object.entries(requests)) {
          const lines = stage.server.log.filter(({ request, seconds }) => request === idOf(id) && seconds !== undefined)
          expect(lines, `${id}\n${stage.server.output()}`).to.have.length(1)
          expect(lines[0], id).to.deep.include({ aborted: true, path: `/mirror${path}`, upstreamFailed: false })
          expect(lines[0]?.err, id).to.include({ code: 'ServerStopped' })
          expect(lines[0]?.status).to.equal(path.includes('silent') ? 503 : 200)
        }
      })
})

function idOf(name: string): string {
  return name.replaceAll(' ', '-')
}
