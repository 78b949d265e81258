import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { expect } from 'chai'
import { type Stage, setStage } from '../support/server.ts'

/** `fetch` sets `Host` itself. */
async function statusFor(stage: Stage, path: string, host: string): Promise<number | undefined> {
  const asked = request(stage.server.url + path, { headers: { host } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

describe('names that were rebound to the server', () => {
  const file = '/mirror/org/model/resolve/main/config.json'
  const prepare = (hub: Stage['hub']) =>
    void hub.add({ type: 'model', id: 'org/model' }).commit({ 'config.json': '{}' })
  const publicUrl = ['--public-url', 'https://mirror.example']

  it('are refused where a service token would serve them, also for replies that were kept a moment ago', async () => {
    await using stage = await setStage(prepare, [...publicUrl, '--upstream-token', 'hf_valid'])
    await stage.mirror('org/model')
    for (let round = 0; round < 3; round++) {
      const commit = (await stage.get('/org/model/resolve/main/config.json')).headers.get('x-repo-commit') ?? ''
      const path = file.replace('main', commit)
      expect(await statusFor(stage, path, 'mirror.example')).to.equal(200)
      for (const host of ['evil.example', 'mirror.example.evil.example', 'mirror.example:8443']) {
        for (const asked of [file, path, '/mirror/api/models/org/model', '/mirror/api/whoami-v2', '/'])
          expect(await statusFor(stage, asked, host), `${host} ${asked}`).to.equal(421)
        for (const probe of ['/health', '/ready']) expect(await statusFor(stage, probe, host)).to.equal(200)
      }
    }
  })

  it('are answered where there is nothing but what everybody may read', async () => {
    await using stage = await setStage(prepare, publicUrl)
    await stage.mirror('org/model')
    expect(await statusFor(stage, '/mirror/api/models/org/model', 'another.name.example')).to.equal(200)
  })
})
