import { expect } from 'chai'
import fc from 'fast-check'
import { z } from 'zod'
import { answerOf, bodyOf, upstreamRequest } from '../../conformance/index.ts'
import { runs } from '../../support/runs.ts'
import { type Handler, openHub, startServer, type TestServer } from './stage.ts'

const targets = ['/api/models/o/n', '/api/models/o/n/tree/main', '/api/datasets/o/n/refs']
const codings = ['br', 'deflate', 'gzip', 'zstd']

type Headers = Readonly<Record<string, string>>

const text = fc
  .oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'b', '*/*', 'application/json', 'evil') },
    { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom('x', ' ', ',', ';', '=', '"'), maxLength: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 3_000 }).map((length) => 'q'.repeat(length)) },
  )
  .map((value) => value.trim())
const encoding = fc.oneof(
  fc.constantFrom('gzip', 'GZIP ,br', 'br,gzip', 'gzip;q=0', 'identity', '*;q=0', 'gzip;q=0.5;x=1', 'unheard-of', ''),
  fc.subarray(codings).map((some) => some.join(', ')),
)
/** What a client may send besides, whether or not it matters. */
const others = [
  ...['accept-language', 'user-agent', 'content-type', 'content-encoding', 'if-range', 'if-none-match', 'range'],
  ...['if-unheard-of', 'git-protocol', 'last-event-id', 'traceparent', 'x-hf-bill-to', 'x-hf-a', 'x-xet-session-id'],
  ...['authorization', 'cookie', 'x-forwarded-host', 'origin', 'x-request-id'],
] as const
const client = fc.record({
  target: fc.constantFrom(...targets),
  headers: fc
    .record(
      {
        accept: text,
        'accept-encoding': encoding,
        via: fc.constantFrom('1.1 a', '1.1 b, 1.1 a'),
        other: fc.dictionary(fc.constantFrom(...others), text, { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    )
    .map(({ other, ...rest }): Headers => ({ ...rest, ...other })),
})

const seenSchema = z.object({ url: z.string(), headers: z.record(z.string(), z.string()) })

/** Answers what it was asked, and refuses heads that are too large, as servers do. */
const echoing: Handler = ({ url = '', headers }, response) => {
  const size = JSON.stringify(headers).length
  setImmediate(() => response.writeHead(size > 1_000 ? 431 : 200).end(JSON.stringify({ url, headers })))
}

async function echoOf(answer: Promise<Awaited<ReturnType<typeof answerOf>>>) {
  const given = await answer
  const { status } = given
  return { status, seen: seenSchema.parse(JSON.parse(String(await bodyOf(given)))) }
}

/** Only a question that is shared goes by this name. */
const isShared = (headers: Headers) => headers['user-agent'] === 'mirrorface'

async function staged(
  handler: Handler,
  use: (server: TestServer, hub: Awaited<ReturnType<typeof openHub>>) => Promise<void>,
) {
  await using server = await startServer(handler)
  const hub = await openHub({ url: server.url, retries: 0, metadataFreshFor: 60_000 })
  await use(server, hub)
  await hub.close()
}

describe('a question that is asked for many', () => {
  it('is made of its key alone, and its answer reaches nobody with another key', async () => {
    let shared = 0
    await staged(echoing, async (_server, hub) => {
      await fc.assert(
        fc.asyncProperty(fc.array(client, { minLength: 1, maxLength: 12 }), async (clients) => {
          const answers = await Promise.all(
            clients.map(({ target, headers }) => echoOf(answerOf(hub, upstreamRequest(target, { headers })))),
          )
          for (const [index, { status, seen }] of answers.entries()) {
            const { target = '', headers = {} } = clients[index] ?? {}
            expect(seen.url).to.equal(target)
            if (!isShared(seen.headers)) {
              for (const name of ['range', 'if-range', 'if-none-match', 'x-hf-a', 'x-hf-bill-to', 'accept-language'])
                expect(seen.headers[name], name).to.equal(headers[name])
              continue
            }
            shared++
            const { host, connection, 'x-request-id': id, ...sent } = seen.headers
            expect(host).to.match(/^127\.0\.0\.1:\d+$/)
            expect(connection).to.equal('keep-alive')
            expect(id).to.match(/^[0-9a-f-]{36}$/)
            const { 'accept-encoding': accepted = '', ...rest } = sent
            expect(rest).to.deep.equal({
              'user-agent': 'mirrorface',
              accept: headers.accept ?? '*/*',
              ...(headers.via !== undefined && { via: headers.via }),
            })
            const asked = (headers['accept-encoding'] ?? '').toLowerCase().split(/[ ,]+/)
            expect(accepted).to.equal(codings.filter((name) => asked.includes(name)).join(', ') || 'identity')
            expect(status).to.equal(200)
          }
        }),
        { numRuns: runs(300), seed: 20261125 },
      )
    })
    expect(shared).to.be.greaterThan(runs(500))
  })

  it('is refused to the client alone whose head is too large, however many ask meanwhile', async () => {
    for (const name of ['x-hf-a', 'accept', 'accept-language', 'user-agent', 'via', 'accept-encoding'])
      await staged(echoing, async (_server, hub) => {
        const statuses = async (headers: Headers) =>
          (await echoOf(answerOf(hub, upstreamRequest('/api/models/o/n', { headers })))).status
        const asked: Promise<number>[] = []
        for (let round = 0; round < 10; round++) {
          void statuses({ [name]: 'q'.repeat(9_000) })
          asked.push(statuses({}))
        }
        expect(new Set(await Promise.all(asked)), name).to.deep.equal(new Set([200]))
      })
  })

  for (const status of [400, 408, 413, 414, 431, 500, 502, 503])
    it(`is put again by those that waited where the answer is ${status}, which is not kept`, async () => {
      let asked = 0
      const arrived = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const refusingFirst: Handler = (_request, response) => {
        const isFirst = ++asked === 1
        arrived.resolve()
        void gate.promise.then(() =>
          response.writeHead(isFirst ? status : 200, { 'Cache-Control': 'max-age=60', ETag: '"e"' }).end('{}'),
        )
      }
      await staged(refusingFirst, async (_server, hub) => {
        const clients = Array.from(
          { length: 5 },
          async () => (await answerOf(hub, upstreamRequest(targets[0] ?? ''))).status,
        )
        await arrived.promise
        gate.resolve()
        expect(await Promise.all(clients)).to.deep.equal([status, 200, 200, 200, 200])
        expect((await answerOf(hub, upstreamRequest(targets[0] ?? ''))).status).to.equal(200)
      })
    })
})
