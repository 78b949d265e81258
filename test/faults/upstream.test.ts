import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { type FaultChooser, syntheticContent } from '../hub/index.ts'
import { type ServerProcess, startMirrorFace, temporaryFolder } from '../support/processes.ts'
import { type Stage, setStage } from '../support/server.ts'
import { expectCalm, expectHandlesBack, vitalsOf } from './watch.ts'

type Fault = NonNullable<ReturnType<FaultChooser>>

async function twoModels(args: readonly string[] = []): Promise<Stage> {
  const stage = await setStage((hub) => {
    hub
      .add({ type: 'model', id: 'org/mirrored' })
      .commit({ 'a.txt': 'mirrored', 'w.safetensors': syntheticContent(2_000_000, 3) })
    hub
      .add({ type: 'model', id: 'org/other' })
      .commit({ 'a.txt': 'a'.repeat(200_000), 'w.safetensors': syntheticContent(2_000_000, 4) })
  }, args)
  await stage.mirror('org/mirrored')
  return stage
}

/** How a client fares: the status and how much of the body came, or that it was cut. */
async function fare(
  stage: Stage,
  path: string,
): Promise<{ status: number; outcome: 'whole' | 'cut'; seconds: number; headers: Headers }> {
  const started = performance.now()
  const response = await stage.get(path, { signal: AbortSignal.timeout(30_000) })
  let outcome: 'whole' | 'cut' = 'whole'
  try {
    await response.arrayBuffer()
  } catch {
    outcome = 'cut'
  }
  return { status: response.status, outcome, seconds: (performance.now() - started) / 1000, headers: response.headers }
}

describe('faults of the Hub', () => {
  for (const [what, fault, expected] of [
    ['refuses', { kind: 'refuse' }, [502]],
    ['resets in the middle of the head', { kind: 'half-head' }, [502]],
    ['says nothing', { kind: 'silence' }, [504]],
  ] as [string, Fault, number[]][]) {
    it(`a Hub that ${what} gives a well-formed error, and disturbs nothing mirrored (fault 9)`, async () => {
      await using folder = await temporaryFolder()
      const config = `${folder.path}/c.yaml`
      await using stage = await setStage(
        async (hub) => {
          hub.add({ type: 'model', id: 'org/mirrored' }).commit({ 'a.txt': 'mirrored' })
          hub.add({ type: 'model', id: 'org/other' }).commit({ 'a.txt': 'a' })
          await writeFile(
            config,
            `upstreams: [{plugin: hub, url: "${hub.url}", headersTimeout: 1000, connectTimeout: 1000, retries: 1}]\n`,
          )
        },
        ['--config', config],
      )
      await stage.mirror('org/mirrored')
      stage.hub.faults = () => fault
      for (const path of ['/org/other/resolve/main/a.txt', '/api/models/org/other']) {
        const { status, headers, seconds } = await fare(stage, path)
        expect(expected, path).to.include(status)
        expect(headers.get('x-error-message')).to.match(
          /cannot be fetched, because http:\S+ (?:did not answer|gave no usable answer|is not asked): /,
        )
        expect(headers.get('x-request-id')).to.match(/./)
        expect(seconds).to.be.lessThan(6)
      }
      expect(await (await stage.get('/org/mirrored/resolve/main/a.txt')).text()).to.equal('mirrored')
      await expectCalm(stage.server)
    })
  }

  for (const [what, fault] of [
    ['resets', { kind: 'reset', after: 100_000 }],
    ['sends too few bytes', { kind: 'short', after: 100_000 }],
  ] as [string, Fault][]) {
    it(`a Hub that ${what} in the middle of a body cuts it for the client too (fault 9)`, async () => {
      await using stage = await twoModels()
      const location =
        (await stage.get('/org/other/resolve/main/a.txt')).headers.get('location') ?? '/org/other/resolve/main/a.txt'
      stage.hub.faults = () => fault
      const { outcome } = await fare(stage, location.replace(/^\/mirror/, ''))
      expect(outcome).to.equal('cut')
      await expectCalm(stage.server)
    })
  }

  it('a Hub that never ends is given up after the total time, if that is limited (fault 9)', async () => {
    await using folder = await temporaryFolder()
    const config = `${folder.path}/c.yaml`
    await using stage = await setStage(
      async (hub) => {
        hub.add({ type: 'model', id: 'org/other' }).commit({ 'a.txt': 'a'.repeat(200_000) })
        await writeFile(config, `upstreams: [{plugin: hub, url: "${hub.url}", totalTimeout: 1000}]\n`)
      },
      ['--config', config],
    )
    const { url } = await stage.get('/org/other/resolve/main/a.txt', { redirect: 'follow' })
    stage.hub.faults = () => ({ kind: 'slow', bytesPerSecond: 20_000 })
    const body = await fare(stage, new URL(url).pathname.replace('/mirror', ''))
    expect(body).to.include({ status: 200, outcome: 'cut' })
    expect(body.seconds).to.be.lessThan(4)
    stage.hub.faults = () => ({ kind: 'silence' })
    for (const path of ['/api/models/org/other', '/api/models?search=x']) {
      const { status, seconds } = await fare(stage, path)
      expect(status, path).to.equal(504)
      expect(seconds).to.be.lessThan(4)
    }
    await expectCalm(stage.server)
  })

  it('a Hub that stalls in the middle of a body is given up (fault 9)', async () => {
    await using folder = await temporaryFolder()
    const { writeFile } = await import('node:fs/promises')
    const config = `${folder.path}/c.yaml`
    await using stage = await setStage(
      async (hub) => {
        hub.add({ type: 'model', id: 'org/other' }).commit({ 'a.txt': 'a'.repeat(200_000) })
        await writeFile(config, `upstreams: [{plugin: hub, url: "${hub.url}", idleTimeout: 500}]\n`)
      },
      ['--config', config],
    )
    const location = (await stage.get('/org/other/resolve/main/a.txt')).headers.get('location') ?? ''
    stage.hub.faults = () => ({ kind: 'stall', after: 100_000 })
    const { outcome, seconds } = await fare(stage, location.replace(/^\/mirror/, '') || '/org/other/resolve/main/a.txt')
    expect(outcome).to.equal('cut')
    expect(seconds).to.be.lessThan(5)
    await expectCalm(stage.server)
  })

  it('10,000 clients that ask for one missing thing at once are a handful of requests to the Hub (fault 11)', async function () {
    this.timeout(120_000)
    await using stage = await twoModels()
    stage.hub.requests.length = 0
    const statuses = new Map<number, number>()
    const ask = async () => {
      const response = await stage.get('/api/models/org/other')
      await response.arrayBuffer()
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    }
    const started = performance.now()
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        for (let turn = 0; turn < 50; turn++) await ask()
      }),
    )
    const seconds = (performance.now() - started) / 1000
    expect([...statuses]).to.deep.equal([[200, 10_000]])
    expect(stage.hub.requestsOf('hub').length).to.be.at.most(Math.ceil(seconds) + 2)
    await expectCalm(stage.server)
  })

  it('redirects in a loop, to other schemes, to private addresses or other ports are not followed (fault 12)', async () => {
    let location = ''
    const handler: RequestListener = (_request, response) =>
      response.writeHead(302, { Location: location, 'X-Linked-Size': '5' }).end()
    const hub = createServer(handler).listen(0, '127.0.0.1')
    await once(hub, 'listening')
    const cdn = createServer((request, response) =>
      response.writeHead(302, { Location: `http://${request.headers.host}/again` }).end(),
    ).listen(0, '127.0.0.2')
    await once(cdn, 'listening')
    const cdnHost = `127.0.0.2:${(cdn.address() as AddressInfo).port}`
    await using folder = await temporaryFolder()
    const server = await startMirrorFace([
      '--local-directory',
      folder.path,
      '--upstream-url',
      `http://127.0.0.1:${(hub.address() as AddressInfo).port}`,
      '--redirects',
      'follow',
      '--follow-hosts',
      cdnHost,
    ])
    for (const [to, message] of [
      [`http://${cdnHost}/loop`, /redirects more than 5 times/],
      ['file:///etc/passwd', /RedirectRefused|not among followHosts/],
      ['gopher://127.0.0.2/', /not among followHosts/],
      ['http://169.254.169.254/latest/meta-data', /not among followHosts/],
      ['http://127.0.0.1:1/', /not among followHosts/],
      ['http://[::1]:80/', /not among followHosts/],
      ['http://127.0.0.2:1/', /not among followHosts/],
      ['http://2130706434/', /not among followHosts/],
    ] as [string, RegExp][]) {
      location = to
      const answer = await fetch(`${server.endpoint}/org/model/resolve/main/w.safetensors`).catch((error: unknown) => {
        throw new Error(`${to}: ${server.output().slice(-3000)}`, { cause: error })
      })
      expect(answer.status, to).to.equal(502)
      expect(answer.headers.get('x-error-message'), to).to.match(message)
    }
    await expectCalm(server)
    await server.stop()
    for (const one of [hub, cdn]) one.close()
  })

  it('a token goes to the Hub and nowhere else: no CDN, no log, no metric, no error (fault 13)', async () => {
    for (const redirects of ['pass', 'follow']) {
      await using stage = await twoModels([
        '--redirects',
        redirects,
        '--follow-hosts',
        '127.0.0.2',
        '--log-level',
        'trace',
      ])
      const headers = { authorization: 'Bearer hf_very_secret_token' }
      stage.hub.tokens.add('hf_very_secret_token')
      for (const path of [
        '/org/other/resolve/main/w.safetensors',
        '/api/models/org/other',
        '/org/mirrored/resolve/main/a.txt',
        '/api/whoami-v2',
      ]) {
        const answer = await fetch(`${stage.server.endpoint}${path}`, { headers })
        expect(await answer.text()).to.not.include('hf_very_secret_token')
      }
      await stage.hub.stop()
      const failed = await stage.get('/org/none/resolve/main/a.txt?token=hf_very_secret_token', { headers })
      expect(await failed.text()).to.not.include('hf_very_secret')
      expect(stage.hub.requestsOf('cdn').every(({ headers: seen }) => seen.authorization === undefined)).to.equal(true)
      expect(
        stage.hub.requestsOf('hub').some(({ headers: seen }) => seen.authorization === headers.authorization),
      ).to.equal(true)
      expect(stage.server.output()).to.not.include('hf_very_secret')
      expect(await (await fetch(stage.server.metricsUrl)).text()).to.not.include('hf_very_secret')
    }
  })

  it('a client that goes away takes its request to the Hub along, a thousand times without a leak (fault 15)', async function () {
    this.timeout(120_000)
    await using stage = await twoModels()
    stage.hub.faults = ({ url }) => (url.includes('a.txt') ? { kind: 'slow', bytesPerSecond: 20_000 } : undefined)
    const { server } = stage
    const { host, hostname, port } = new URL(server.url)
    const abort = async (path: string) => {
      const socket = connect(Number(port), hostname)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      await Promise.race([once(socket, 'data'), once(socket, 'close')])
      socket.destroy()
    }
    const paths = ['/mirror/api/resolve-cache/models/org/other', '/mirror/org/mirrored/resolve/main/w.safetensors']
    const commit = (await stage.get('/org/other/resolve/main/a.txt', { method: 'HEAD' })).headers.get('x-repo-commit')
    paths[0] = `${paths[0]}/${commit}/a.txt`
    for (const path of paths) await abort(path)
    await delay(500)
    const before = await vitalsOf(server)
    for (let turn = 0; turn < 20; turn++)
      await Promise.all(Array.from({ length: 50 }, (_, index) => abort(paths[index % 2] ?? '')))
    await expectHandlesBack(server, before.handles, 3)
    expect((await vitalsOf(server)).memory).to.be.lessThan(before.memory + 100)
    await expectCalm(server)
  })
})

describe('requests that are no requests', () => {
  /** What the server says to these bytes, until it closes or falls silent. */
  async function say(server: ServerProcess, bytes: string, milliseconds = 1_500): Promise<string> {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    let said = ''
    socket.on('data', (chunk) => (said += chunk))
    socket.on('error', () => undefined)
    socket.write(bytes)
    await Promise.race([once(socket, 'close'), delay(milliseconds)])
    socket.destroy()
    return said
  }
  const statusesOf = (said: string) => [...said.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))

  it('smuggle nothing: framing tricks, foreign targets, forged hosts (fault 14)', async () => {
    await using stage = await twoModels()
    const { server, hub } = stage
    hub.requests.length = 0
    const host = new URL(server.url).host
    for (const [what, bytes] of [
      [
        'two lengths',
        `POST /api/x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
      ],
      [
        'length and chunks',
        `POST /api/x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
      ],
      [
        'odd encoding',
        `POST /api/x HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
      ],
      ['bare line feed', `GET /api/x HTTP/1.1\nHost: ${host}\nX: y\n\nGET /smuggled HTTP/1.1\r\n\r\n`],
      [
        'space before the colon',
        `POST /api/x HTTP/1.1\r\nHost: ${host}\r\nContent-Length : 30\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
      ],
      ['folded header', `GET /api/x HTTP/1.1\r\nHost: ${host}\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n`],
      ['no host', 'GET /api/x HTTP/1.1\r\n\r\n'],
      ['a NUL', `GET /api/x\0y HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    ] as const) {
      const said = await say(server, bytes)
      expect(
        hub.requests.filter(({ url }) => url.includes('smuggled')),
        what,
      ).to.deep.equal([])
      expect(
        statusesOf(said).filter((status) => status < 400),
        what,
      ).to.deep.equal([])
    }
    for (const target of ['http://169.254.169.254/latest', 'example.org:443', '//evil.example/x']) {
      const [status] = statusesOf(
        await say(server, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      )
      expect(status, target).to.be.oneOf([400, 404])
    }
    expect(
      statusesOf(await say(server, `CONNECT example.org:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).every(
        (status) => status >= 400,
      ),
    ).to.equal(true)
    expect(hub.requests.every(({ headers }) => headers.host === new URL(hub.url).host)).to.equal(true)
    await expectCalm(server)
  })

  it('inject no header and poison no answer by Host or X-Forwarded-* (fault 14)', async () => {
    await using stage = await twoModels()
    stage.hub.treePageSize = 1
    const forged = {
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-For': '1.2.3.4',
      Forwarded: 'host=evil.example',
    }
    const answer = await stage.get('/api/models/org/other/tree/main', { headers: forged })
    expect(answer.headers.get('link')).to.include(stage.server.endpoint).and.not.include('evil')
    const said = await say(
      stage.server,
      'GET /mirror/api/models/org/other/tree/main HTTP/1.1\r\nHost: evil.example/path"><x\r\nConnection: close\r\n\r\n',
    )
    expect(said).to.not.match(/evil\.example\/path/)
    const injected = await stage.get('/org/mirrored/resolve/main/x%0d%0aSet-Cookie:%20a=b')
    expect(injected.headers.get('set-cookie')).to.equal(null)
    expect(injected.status).to.equal(400)
    expect(stage.server.log.some(({ client }) => client === '1.2.3.4')).to.equal(false)
    await expectCalm(stage.server)
  })

  it('that are more than the server wants to hold are closed at once, and counted (fault 16)', async () => {
    await using stage = await twoModels(['--max-connections', '3'])
    const { hostname, port } = new URL(stage.server.url)
    const held = Array.from({ length: 3 }, () => connect(Number(port), hostname))
    await Promise.all(held.map((socket) => once(socket, 'connect')))
    const refused = connect(Number(port), hostname)
    await once(refused, 'close')
    for (const socket of held) expect(socket.destroyed).to.equal(false)
    for (const socket of held) socket.destroy()
    await delay(100)
    expect((await stage.get('/org/mirrored/resolve/main/a.txt')).status).to.equal(200)
    const metrics = await (await fetch(stage.server.metricsUrl)).text()
    expect(metrics).to.match(/^mirrorface_connections_dropped_total 1$/m)
  })

  it('that never end are timed out (fault 16)', async function () {
    this.timeout(60_000)
    await using stage = await twoModels()
    const { hostname, port } = new URL(stage.server.url)
    const sockets = Array.from({ length: 200 }, () => connect(Number(port), hostname))
    let closed = 0
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.once('close', () => closed++)
      socket.write('GET /health HTTP/1.1\r\nHost: a\r\n')
    }
    const drip = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write('X-A: b\r\n')
    }, 1_000)
    expect((await stage.get('/org/mirrored/resolve/main/a.txt')).status).to.equal(200)
    for (let waited = 0; waited < 400 && closed < 200; waited++) await delay(100)
    clearInterval(drip)
    expect(closed).to.equal(200)
    await expectCalm(stage.server)
  })
})
