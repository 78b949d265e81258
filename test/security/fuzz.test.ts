import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import fc from 'fast-check'
import { loadConfig } from '../../src/config/index.ts'
import { Failure, repositoryInfoSchema, treePageSchema } from '../../src/hub/index.ts'
import { isDamage, parseManifest, parseRef } from '../../src/mirror/index.ts'
import { expectCalm, vitalsOf } from '../faults/watch.ts'
import { setStage } from '../support/server.ts'

const requests = Number(process.env.FUZZ_REQUESTS ?? 100_000)
/** The same requests each time; another run asks for others by `FUZZ_SEED`. */
const seed = Number(process.env.FUZZ_SEED ?? 20_261_123)

const word = fc.constantFrom(
  ...[
    'mirror',
    'api',
    'models',
    'datasets',
    'spaces',
    'org',
    'model',
    'resolve',
    'raw',
    'main',
    'tree',
    'refs',
    'revision',
    'paths-info',
    'resolve-cache',
    'w.safetensors',
    'a.txt',
  ],
  ...[
    '..',
    '.',
    '%2e%2e',
    '%2F',
    '%00',
    '%',
    '%zz',
    '%c0%ae',
    '\\',
    '~',
    '*',
    'a'.repeat(300),
    '🦙',
    '%F0%9F%A6%99',
    '-',
    '_',
    'refs%2Fpr%2F1',
    '0'.repeat(40),
    'f'.repeat(64),
    'health',
    'ready',
  ],
)
const segment = fc.oneof({ weight: 4, arbitrary: word }, { weight: 1, arbitrary: fc.string({ maxLength: 20 }) })
const target = fc.array(segment, { maxLength: 10 }).map((parts) => `/${parts.join('/')}`)
const query = fc.oneof(
  fc.constant(''),
  fc.string({ maxLength: 40 }).map((text) => `?${text}`),
  fc.constantFrom('?recursive=true', '?blobs=1', '?cursor=x', '?limit=-1', '?expand[]=a', '?download'),
)
const method = fc.constantFrom(
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'TRACE',
)
const headerValue = fc.oneof(
  fc.constantFrom(
    'bytes=0-0',
    'bytes=-1',
    'bytes=5-2',
    'bytes=0-0,2-3',
    'bytes=99999999999999999999-',
    '*',
    '"x"',
    'W/"x"',
    'chunked',
    'gzip',
    'application/json',
    '-1',
    '1e9',
    'close',
  ),
  fc.string({ maxLength: 30 }),
)
const header = fc.tuple(
  fc.constantFrom(
    'Range',
    'If-Range',
    'If-None-Match',
    'If-Match',
    'If-Modified-Since',
    'Authorization',
    'Accept',
    'Content-Type',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Request-Id',
    'Cookie',
    'Connection',
    'Origin',
    'X',
  ),
  headerValue.map((value) => value.replaceAll(/[\r\n\0]/g, ' ')),
)
const request = fc.record({
  method,
  target,
  query,
  headers: fc.array(header, { maxLength: 4 }),
  body: fc.option(fc.string({ maxLength: 60 })),
})

/** One connection that takes requests one after another, and comes back when it is closed. */
class RawClient {
  readonly #port: number
  #socket: Socket | undefined

  constructor(port: number) {
    this.#port = port
  }

  /** The status; `undefined` where the server closed without one, as it may for what is no HTTP. */
  async ask(bytes: Buffer): Promise<number | undefined> {
    this.#socket ??= connect(this.#port, '127.0.0.1').on('error', () => undefined)
    const socket = this.#socket
    const answered = Promise.withResolvers<number | undefined>()
    let said = ''
    const onData = (chunk: Buffer) => {
      said += chunk.toString('latin1')
      const status = /^HTTP\/1\.1 (\d{3})/.exec(said)?.[1]
      if (status !== undefined && said.includes('\r\n\r\n')) answered.resolve(Number(status))
    }
    const onClose = () =>
      answered.resolve(/^HTTP\/1\.1 (\d{3})/.exec(said)?.[1] === undefined ? undefined : Number(said.slice(9, 12)))
    socket.on('data', onData).once('close', onClose)
    socket.write(bytes)
    const status = await Promise.race([answered.promise, delay(10_000, 'hung' as const)])
    socket.destroy()
    this.#socket = undefined
    if (status === 'hung') throw new Error(`no answer to ${JSON.stringify(bytes.toString('latin1')).slice(0, 500)}`)
    return status
  }
}

describe('fuzzing', function () {
  this.timeout(600_000)

  it(`${requests.toLocaleString('en')} random requests: no crash, no hang, no 500 without a cause, memory bounded (fault 23)`, async () => {
    await using stage = await setStage(
      (hub) => {
        hub.add({ type: 'model', id: 'org/model' }).commit({ 'a.txt': 'a', 'w.safetensors': Buffer.alloc(10_000, 1) })
      },
      ['--offline'],
    )
    await stage.mirror('org/model')
    const port = Number(new URL(stage.server.url).port)
    const samples = fc.sample(request, { numRuns: Math.min(requests, 20_000), seed })
    const before = await vitalsOf(stage.server)
    const statuses = new Map<number | undefined, number>()
    let next = 0
    await Promise.all(
      Array.from({ length: 24 }, async () => {
        while (next < requests) {
          const index = next++
          const {
            method: verb,
            target: path,
            query: search,
            headers,
            body,
          } = samples[index % samples.length] as (typeof samples)[number]
          // Each round of the samples is altered in its own way.
          const round = Math.floor(index / samples.length)
          const altered =
            round === 0
              ? path
              : path.slice(0, path.length - (round % path.length)) + String.fromCharCode(33 + ((index * 7) % 90))
          const length = body === null ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
          const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
          const head = `${verb} ${altered}${search.replaceAll(/[\r\n\0 ]/g, '+')} HTTP/1.1\r\nHost: a\r\n${lines}${length}\r\n`
          const status = await new RawClient(port).ask(Buffer.from(head + (body ?? ''), 'utf8'))
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }),
    )
    console.log(`      ${[...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')}`)
    expect(statuses.get(500) ?? 0).to.equal(0)
    const after = await vitalsOf(stage.server)
    expect(after.memory).to.be.lessThan(before.memory + 200)
    await expectCalm(stage.server)
    expect((await stage.get('/org/model/resolve/main/a.txt')).status).to.equal(200)
  })

  it('random manifests and refs are refused as damaged, or sound (fault 23)', () => {
    const near = fc.record(
      {
        layout: fc.constantFrom(2, 3, '2'),
        repository: fc.anything(),
        commit: fc.constantFrom('a'.repeat(40), 'x', 1),
        mirroredAt: fc.anything(),
        files: fc.array(fc.anything()),
        info: fc.anything(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          near.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          for (const parse of [parseManifest, parseRef]) {
            try {
              parse('key', text ?? '')
            } catch (error) {
              expect(isDamage(error), String(error)).to.equal(true)
            }
          }
        },
      ),
      { numRuns: 20_000, seed },
    )
  })

  it('random configurations and answers of the Hub are refused with a sentence, or understood (fault 23)', async () => {
    const { writeFile } = await import('node:fs/promises')
    const { temporaryFolder } = await import('../support/processes.ts')
    await using folder = await temporaryFolder()
    const file = `${folder.path}/c.yaml`
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc
            .dictionary(
              fc.constantFrom('port', 'host', 'storages', 'upstreams', 'allow', 'accessTokens', 'x'),
              fc.anything(),
            )
            .map((value) => JSON.stringify(value) ?? ''),
        ),
        async (text) => {
          await writeFile(file, text)
          try {
            await loadConfig({ flags: {}, environment: {}, file })
          } catch (error) {
            expect(error).to.be.instanceOf(Failure)
          }
        },
      ),
      { numRuns: 2_000, seed },
    )
    fc.assert(
      fc.property(fc.anything(), (value) => {
        for (const schema of [repositoryInfoSchema, treePageSchema]) schema.safeParse(value) // never throws
      }),
      { numRuns: 20_000, seed },
    )
  })
})
