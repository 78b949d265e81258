import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { expect } from 'chai'
import { isExpectedHost } from '../../src/server/gate/host-check.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Stage, setStage } from '../support/server.ts'

/** `fetch` sets `Host` itself. */
async function statusFor(stage: Stage, path: string, host: string, method = 'GET'): Promise<number | undefined> {
  const asked = request(stage.server.url, { path, method, headers: { host } }).end()
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
      for (const asked of [file, '*']) expect(await statusFor(stage, asked, 'mirror.example', 'OPTIONS')).to.equal(204)
      expect(await statusFor(stage, path, 'mirror.example')).to.equal(200)
      for (const host of ['evil.example', 'mirror.example.evil.example', 'mirror.example:8443']) {
        for (const asked of [file, path, '/mirror/api/models/org/model', '/mirror/api/whoami-v2', '/'])
          expect(await statusFor(stage, asked, host), `${host} ${asked}`).to.equal(421)
        for (const asked of [file, '/mirror/api/repos/create', '*'])
          expect(await statusFor(stage, asked, host, 'OPTIONS'), `OPTIONS ${host} ${asked}`).to.equal(421)
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

describe('names of the server', () => {
  const seed = 20_261_125
  const publicUrl = 'https://mirror.example'
  const isName = (host: string) => isExpectedHost(host, publicUrl)

  it('are the public one, addresses and localhost, each in one spelling', () => {
    const good = [
      'mirror.example',
      'Mirror.Example',
      'mirror.example:443',
      '127.0.0.1',
      '127.0.0.1:8080',
      '10.0.0.7',
    ].concat('[::1]', '[::1]:8080', '[2001:db8::1]', '[::ffff:7f00:1]', 'localhost', 'localhost:8080')
    for (const host of good) expect(isName(host), host).to.equal(true)
    const bad = ['2130706433', '0x7f.1', '0177.0.0.1', '127.1', '0x7f000001:8080', '0', '[::ffff:127.0.0.1]', '[0::1]']
      .concat('１２７.0.0.1', 'mirror。example', '%6cocalhost', 'localhost.evil.example', '127.0.0.1.')
      .concat('mirror.example/..', 'mirror.example#', 'mirror.example?x', 'a@mirror.example', 'evil.example', '', ' ')
    for (const host of bad) expect(isName(host), JSON.stringify(host)).to.equal(false)
  })

  it(`are none that is spelled in another way (seed ${seed})`, () => {
    const random = seededRandom(seed)
    const radices: readonly ((part: number) => string)[] = [
      (part) => String(part),
      (part) => `0x${part.toString(16)}`,
      (part) => `0${part.toString(8)}`,
    ]
    for (let round = 0; round < 2_000; round++) {
      const bytes = Array.from({ length: 4 }, () => Math.floor(random() * 256))
      const plain = bytes.join('.')
      const kept = Math.floor(random() * 4)
      const last = bytes.slice(kept).reduce((sum, byte) => sum * 256 + byte, 0)
      const host = [...bytes.slice(0, kept), last]
        .map((part) => radices[Math.floor(random() * radices.length)]?.(part) ?? '')
        .join('.')
      expect(new URL(`https://${host}/`).hostname, host).to.equal(plain)
      expect(isName(host), host).to.equal(host === plain)
      expect(isName(plain), plain).to.equal(true)
    }
  })
})
