import { once } from 'node:events'
import { Readable } from 'node:stream'
import { expect } from 'chai'
import { HubFailure, type Method, type UpstreamRequest, UsageFailure } from 'mirrorface/plugin'
import { answerOf, bodyOf, headerIn, streamBody, textBody, upstreamRequest } from '../../conformance/index.ts'
import { type Handler, type Logged, openHub, startServer, withoutPauses } from './stage.ts'

const commit = 'c'.repeat(40)
const arriving = () => streamBody(2, [Buffer.from('{}')])
const json = { 'Content-Type': 'application/json' }

async function stage(handler: Handler, options: Record<string, unknown> = {}) {
  const server = await startServer(handler)
  const lines: Logged[] = []
  const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000, ...options }, lines)
  return {
    ...{ server, hub, lines },
    ask: async (path: string, given: Partial<UpstreamRequest> = {}) =>
      await answerOf(hub, upstreamRequest(path, given)),
    [Symbol.asyncDispose]: async () => {
      await hub.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function failureOf(asked: Promise<unknown>): Promise<Error> {
  const error = await asked.catch((reason: unknown) => reason)
  if (error instanceof Error) return error
  throw new Error('it did not fail')
}

describe('questions that are shared', () => {
  for (const [method, path, isShared] of [
    ['GET', '/api/models/o/n', true],
    ['GET', '/api/models/o/n/tree/main', true],
    ['GET', '/api/models/o/n/treesize/main', true],
    ['GET', '/api/models/o/n/refs', true],
    ['GET', '/api/models/o/n/commits/main', true],
    ['GET', '/api/models/o/n/discussions', false],
    ['GET', '/o/n/resolve/main/f', false],
    ['HEAD', '/o/n/resolve/main/f', true],
    ['HEAD', `/api/resolve-cache/models/o/n/${commit}/f`, true],
    ['HEAD', '/api/models/o/n', false],
    ['HEAD', '/o/n/raw/main/f', false],
    ['POST', '/api/models/o/n/paths-info/main', false],
    ['POST', '/o/n/resolve/main/f', false],
    ['POST', '/api/models/o/n', false],
    ['GET', '/api/models/o/n?token=x', false],
  ] satisfies [Method, string, boolean][])
    it(`are ${isShared ? '' : 'not '}${method} ${path}`, async () => {
      await using at = await stage((_request, response) => response.writeHead(200, json).end('{}'))
      for (const _ of [1, 2]) await bodyOf(await at.ask(path, { method }))
      expect(at.server.requests.length).to.equal(isShared ? 1 : 2)
      const agents = at.server.requests.map(({ headers }) => headers['user-agent'] === 'mirrorface')
      expect(agents).to.deep.equal(isShared ? [true] : [false, false])
    })

  it('are kept without what offers Xet for clients, and as they are for this server', async () => {
    for (const redirects of ['follow', 'pass'] as const) {
      await using at = await stage(
        (_request, response) => response.writeHead(200, { ...json, 'X-Xet-Hash': 'h' }).end('{"xetHash":"h","a":1}'),
        { redirects },
      )
      for (const _ of [1, 2])
        for (const purpose of ['client', 'mirror'] as const) {
          const answer = await at.ask('/api/models/o/n/tree/main', { purpose })
          const isPlain = redirects === 'follow' && purpose === 'client'
          expect(JSON.parse(String(await bodyOf(answer)))).to.deep.equal(isPlain ? { a: 1 } : { xetHash: 'h', a: 1 })
          expect(headerIn(answer, 'x-xet-hash')).to.equal(isPlain ? undefined : 'h')
        }
    }
  })
})

describe('requests whose connection failed', () => {
  it('are sent again where they change nothing', async () => {
    using _ = withoutPauses()
    for (const [method, path, body, isRepeated] of [
      ['GET', '/api/models/o/n/discussions', undefined, true],
      ['HEAD', '/api/models/o/n', undefined, true],
      ['POST', '/api/models/o/n/paths-info/main', '{}', true],
      ['POST', '/api/models/o/n/paths-info/main', arriving, false],
      ['POST', '/api/validate-yaml', '{}', true],
      ['POST', '/api/models/o/n/commit/main', '{}', false],
      ['POST', '/api/models/o/n/commit/main', undefined, false],
      ['DELETE', '/api/models/o/n/branch/x', undefined, false],
    ] satisfies [Method, string, string | typeof arriving | undefined, boolean][]) {
      let asked = 0
      await using at = await stage(
        (request, response) => {
          if (++asked === 1) request.destroy()
          else response.writeHead(200, json).end('{}')
        },
        { retries: 1 },
      )
      const given = { method, body: typeof body === 'string' ? textBody(body) : body?.() }
      const outcome = await at.hub.ask(upstreamRequest(path, given))
      expect([outcome.kind, asked], `${method} ${path}`).to.deep.equal(isRepeated ? ['answered', 2] : ['declined', 1])
    }
  })
})

describe('codings', () => {
  it('are the client’s where nothing is looked into', async () => {
    for (const [redirects, purpose, method, expected] of [
      ['pass', 'client', 'GET', 'br'],
      ['pass', 'client', 'HEAD', 'br'],
      ['pass', 'client', 'POST', 'identity'],
      ['pass', 'mirror', 'GET', 'identity'],
      ['follow', 'client', 'GET', 'identity'],
    ] as const) {
      await using at = await stage((_request, response) => response.end(), { redirects })
      await at.ask('/api/models/o/n/discussions', { method, purpose, headers: { 'accept-encoding': 'br' } })
      expect(at.server.requests[0]?.headers['accept-encoding'], `${redirects} ${purpose} ${method}`).to.equal(expected)
    }
  })
})

describe('what can’t be sent', () => {
  it('is the request’s own fault, with its cause', async () => {
    await using at = await stage((request, response) => request.resume().once('end', () => response.end('{}')))
    const commitTo = '/api/models/o/n/commit/main'
    const ask = async (given: Partial<UpstreamRequest>) =>
      await failureOf(at.ask(commitTo, { method: 'POST', ...given }))
    const unsized = await ask({ method: 'DELETE', body: streamBody(undefined, [Buffer.from('x')]) })
    expect(unsized).to.be.instanceOf(HubFailure).and.include({ status: 411, code: 'LengthRequired' })
    expect(unsized.message).to.include('Content-Length')
    for (const body of [textBody('x'), streamBody(1, [Buffer.from('x')])])
      expect((await at.ask(commitTo, { method: 'DELETE', body })).status).to.equal(200)
    expect((await at.ask(commitTo, { method: 'POST', body: streamBody(undefined, []) })).status).to.equal(200)

    const short = await ask({ body: streamBody(5, [Buffer.from('x')]) })
    expect(short).to.be.instanceOf(HubFailure).and.include({ status: 400, code: 'IncompleteBody' })
    expect(short.cause).to.be.instanceOf(Error)
    const ours = new UsageFailure('too large')
    const failing = Readable.from([]).once('newListener', () => undefined)
    failing.destroy(ours)
    const refused = await ask({ body: { length: 5, bytes: undefined, isSpent: false, take: () => failing } })
    expect(refused).to.equal(ours)

    const odd = await ask({ headers: { 'x-hf-a': 'a\nb' }, body: textBody('x') })
    expect(odd).to.be.instanceOf(HubFailure).and.include({ status: 400, code: 'BadRequest' })
    expect(odd.message).to.match(/can't be sent to the upstream: ./)
    expect(odd.cause).to.be.instanceOf(Error)
  })
})

describe('an upstream that is opened', () => {
  it('says what it is', async () => {
    for (const [options, traits] of [
      [
        {},
        { name: 'hub', hasServiceToken: false, serviceWrites: false, clientTokens: undefined, authority: undefined },
      ],
      [
        { name: 'other', token: 'x', serviceWrites: true, clientTokens: false, authority: true },
        { name: 'other', hasServiceToken: true, serviceWrites: true, clientTokens: false, authority: true },
      ],
    ] as const) {
      const hub = await openHub(options)
      const { clientTokenPattern, ...rest } = hub.traits
      expect(rest).to.deep.equal(traits)
      expect(['hf_a', 'api_a', 'x_hf_a'].map((one) => clientTokenPattern.test(one))).to.deep.equal([true, true, false])
      await hub.close()
    }
  })

  it('lets go of its sockets when it is closed', async () => {
    await using at = await stage((_request, response) => response.end('{}'))
    await bodyOf(await at.ask('/api/models/o/n'))
    const socket = at.server.requests[0]?.socket
    await at.hub.close()
    if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
  })

  it('logs when it is left alone, and once that its token is refused', async () => {
    const gone = await startServer(() => undefined)
    await gone[Symbol.asyncDispose]()
    await using at = await stage(() => undefined, { url: gone.url, breakerFailures: 1, name: 'of-the-test' })
    await at.hub.ask(upstreamRequest('/api/models/o/n'))
    const [broken] = at.lines.filter(({ message }) => message === 'upstream breaker changed')
    expect(broken?.fields).to.include({ upstream: 'of-the-test' }).and.have.property('state')

    await using refusing = await stage((_request, response) => response.writeHead(401).end('no'), { token: 'x' })
    for (const _ of [1, 2, 3])
      await refusing.hub.ask(upstreamRequest('/api/models/o/n', { rights: { use: 'service' } }))
    const errors = refusing.lines.filter(({ level }) => level === 'error')
    expect(errors.map(({ fields }) => fields)).to.deep.equal([{ upstream: 'hub', code: 'ServiceTokenRefused' }])
  })

  it('leaves requests for anything but LFS as they are where Xet is removed', async () => {
    const bodies: string[] = []
    await using at = await stage(
      (request, response) => {
        let body = ''
        request.on('data', (chunk) => {
          body += chunk
        })
        request.once('end', () => {
          bodies.push(body)
          response.writeHead(404).end()
        })
      },
      { xet: false },
    )
    const transfers = '{"transfers":["xet","basic"]}'
    for (const [path, body] of [
      ['/api/models/o/n/commit/main', transfers],
      ['/o/n.git/info/lfs/objects/batch', transfers],
      ['/o/n.git/info/lfs/objects/batch', undefined],
    ] as const)
      await at.ask(path, { method: 'POST', body: body === undefined ? undefined : textBody(body) })
    expect(bodies).to.deep.equal([transfers, '{"transfers":["basic"]}', ''])
  })
})
