import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'chai'
import { ContentMismatch, Crc32c, Failure } from 'mirrorface/plugin'
import nock from 'nock'
import { openGcsStorage } from './gcs-storage.ts'
import { gcsStorageOptions } from './index.ts'

// It takes over every socket of the process from its import on: other suites run in the same one.
nock.restore()

const endpoint = 'http://gcs.test'

/** What no emulator does: the service's own faults, told by nock. Everything else is tested on a real server. */
describe('storage-gcs, when the service is at fault', function () {
  this.timeout(60_000)
  before(() => {
    nock.activate()
    nock.disableNetConnect()
  })
  afterEach(() => {
    const pending = nock.pendingMocks()
    nock.cleanAll()
    expect(pending).to.deep.equal([])
  })
  after(() => {
    nock.enableNetConnect()
    nock.restore()
  })

  const open = () => openGcsStorage(gcsStorageOptions.parse({ bucket: 'bucket', endpoint }))
  const object = (content: Buffer) => {
    const checksum = new Crc32c()
    checksum.update(content)
    return {
      name: 'a',
      generation: '1',
      size: String(content.length),
      updated: new Date().toISOString(),
      crc32c: checksum.toString(),
    }
  }
  const rejection = async (promise: Promise<unknown>): Promise<Error> => {
    try {
      await promise
    } catch (error) {
      if (error instanceof Error) return error
    }
    throw new Error('it did not fail')
  }

  it('asks again after 429 and 503 (fault 34)', async () => {
    const path = '/storage/v1/b/bucket/o/a'
    nock(endpoint)
      .get(path)
      .query(true)
      .reply(429, { error: { code: 429, message: 'slow down' } })
    nock(endpoint)
      .get(path)
      .query(true)
      .reply(503, { error: { code: 503, message: 'later' } })
    nock(endpoint)
      .get(path)
      .query(true)
      .reply(200, object(Buffer.from('abc')))
    const storage = await open()
    expect((await storage.stat('a'))?.size).to.equal(3)
  })

  for (const [status, message] of [
    [401, /credentials are not accepted for bucket bucket/],
    [403, /no permission for bucket bucket: grant roles\/storage\.objectUser/],
  ] as const) {
    it(`says what to do about ${status} (fault 21)`, async () => {
      nock(endpoint)
        .get('/storage/v1/b/bucket/o/a')
        .query(true)
        .reply(status, { error: { code: status, message: 'no' } })
      const error = await rejection((await open()).stat('a'))
      expect(error).to.be.instanceOf(Failure)
      expect(error.message).to.match(message)
    })
  }

  it('does not take a body that breaks off for a whole one (fault 4)', async () => {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-length': '1000', 'x-goog-hash': 'crc32c=AAAAAA==' })
      response.write(Buffer.alloc(500), () => response.destroy())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    nock.enableNetConnect('127.0.0.1')
    const { port } = server.address() as AddressInfo
    const storage = await openGcsStorage(
      gcsStorageOptions.parse({ bucket: 'bucket', endpoint: `http://127.0.0.1:${port}` }),
    )
    await rejection(storage.read('a').then(buffer))
    server.close()
  })

  /** A real server, of which each connection is told by `answer` what it asked for. */
  const openAt = async (
    answer: (request: IncomingMessage, response: ServerResponse, asked: number) => void,
    options: { stallTimeout?: number } = {},
  ) => {
    let asked = 0
    const server = createServer((request, response) => answer(request, response, asked++)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    nock.enableNetConnect('127.0.0.1')
    const { port } = server.address() as AddressInfo
    const at = { bucket: 'bucket', endpoint: `http://127.0.0.1:${port}`, ...options }
    const storage = await openGcsStorage(gcsStorageOptions.parse(at))
    const close = async () => {
      await storage.close()
      server.closeAllConnections()
      server.close()
    }
    return { storage, asked: () => asked, [Symbol.asyncDispose]: close }
  }

  it('goes on behind the last byte of a body that breaks off, or hangs (fault 34)', async () => {
    const content = randomBytes(100_000)
    const checksum = new Crc32c()
    checksum.update(content)
    const headers = {
      'x-goog-generation': '7',
      'x-goog-hash': `crc32c=${checksum.toString()}`,
      'x-goog-stored-content-encoding': 'identity',
    }
    const ranges: (string | undefined)[] = []
    await using service = await openAt(
      ({ headers: { range }, url = '' }, response, asked) => {
        ranges.push(range)
        expect(new URL(url, endpoint).searchParams.get('generation')).to.equal(asked === 0 ? null : '7')
        const rest = content.subarray(Number(/\d+/.exec(range ?? '')?.[0] ?? 0))
        response.writeHead(range === undefined ? 200 : 206, { ...headers, 'content-length': rest.length })
        if (asked === 2) response.end(rest)
        else response.write(rest.subarray(0, 30_000), () => asked === 0 && setImmediate(() => response.destroy()))
      },
      { stallTimeout: 300 },
    )
    const read = await buffer(await service.storage.read('a'))
    expect(read.equals(content)).to.equal(true)
    expect(ranges).to.have.length(3)
    expect(ranges[2]).to.equal('bytes=60000-')
  })

  it('cuts a request that hangs, and repeats it (fault 34)', async () => {
    await using service = await openAt(
      (_, response, asked) => {
        if (asked < 2) return
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify(object(Buffer.from('abc'))))
      },
      { stallTimeout: 200 },
    )
    expect((await service.storage.stat('a'))?.size).to.equal(3)
    expect(service.asked()).to.equal(3)
  })

  it('cuts an upload of which nothing is taken, and repeats it (fault 34)', async () => {
    const content = randomBytes(8 * 1024 * 1024)
    await using service = await openAt(
      (request, response, asked) => {
        if (asked === 0) return // its body is never read
        request.resume().once('end', () => {
          response.writeHead(200, { 'content-type': 'application/json' })
          response.end(JSON.stringify(object(content)))
        })
      },
      { stallTimeout: 300 },
    )
    const expected = { size: content.length }
    const written = await service.storage.writer?.write('a', () => Readable.from([content]), expected, {
      ifAbsent: true,
    })
    expect(written?.size).to.equal(content.length)
    expect(service.asked()).to.equal(2)
  })

  it('does not cut a body that its reader lets wait (fault 34)', async () => {
    const content = randomBytes(16 * 1024 * 1024)
    await using service = await openAt((_, response) => void response.writeHead(200).end(content), {
      stallTimeout: 200,
    })
    const body = await service.storage.read('a')
    const [first] = (await once(body, 'readable').then(() => [body.read(1)])) as [Buffer]
    await delay(1000) // several times as long as a stall takes to be noticed
    const rest = await buffer(body)
    expect(service.asked()).to.equal(1)
    expect(Buffer.concat([first, rest]).equals(content)).to.equal(true)
  })

  it('does not take wrong bytes for right ones (fault 4)', async () => {
    nock(endpoint).get('/storage/v1/b/bucket/o/a').query(true).reply(200, Buffer.from('abc'), {
      'x-goog-hash': 'crc32c=AAAAAA==',
      'x-goog-stored-content-encoding': 'identity',
    })
    const error = await rejection((await open()).read('a').then(buffer))
    expect(error).to.be.instanceOf(ContentMismatch)
    expect(error.message).to.match(/expected CRC-32C AAAAAA==/)
  })

  it('goes on with an upload of unknown size that was refused in the middle (fault 34)', async () => {
    const content = randomBytes(9 * 1024 * 1024)
    const received: Buffer[] = []
    const session = `${endpoint}/upload/session`
    const path = '/storage/v1/b/bucket/o/a'
    nock(endpoint)
      .get(path)
      .query(true)
      .reply(404, { error: { code: 404, message: 'No such object: bucket/a' } })
    nock(endpoint).post('/upload/storage/v1/b/bucket/o').query(true).reply(200, '', { location: session })
    const chunk = 8 * 1024 * 1024
    const take = (body: unknown) => received.push(Buffer.from(String(body), 'hex'))
    nock(endpoint)
      .put('/upload/session')
      .reply(503, { error: { code: 503, message: 'in the middle' } })
    // Asked how much arrived, the service says: nothing.
    nock(endpoint).put('/upload/session').matchHeader('content-range', `bytes */*`).reply(308, '')
    nock(endpoint)
      .put('/upload/session', (body) => take(body) > 0)
      .matchHeader('content-range', /^bytes 0-/)
      .reply(308, '', { range: `bytes=0-${chunk - 1}` })
    nock(endpoint)
      .put('/upload/session', (body) => take(body) > 0)
      .matchHeader('content-range', new RegExp(`^bytes ${chunk}-`))
      .reply(200, object(content))
    nock(endpoint).get(path).query(true).reply(200, object(content))
    const storage = await open()
    const sha256 = createHash('sha256').update(content).digest('hex')
    const written = await storage.writer?.write('a', () => Readable.from([content]), {
      sha256,
      keepExisting: true,
    })
    expect(written?.size).to.equal(content.length)
    expect(Buffer.concat(received).equals(content)).to.equal(true)
  })

  it('sends a part again that was refused, and takes one that another writer was faster with', async () => {
    const partSize = 5 * 1024 * 1024
    const content = randomBytes(2 * partSize + 1000)
    const sha256 = createHash('sha256').update(content).digest('hex')
    const pieces = [0, 1, 2].map((index) => content.subarray(index * partSize, (index + 1) * partSize))
    const nameOf = (index: number) => `.unfinished/${sha256}/${partSize}-0000${index}`
    const partOf = (index: number) => ({
      ...object(pieces[index] as Buffer),
      name: nameOf(index),
      generation: `1${index}`,
    })
    const upload = (index: number) =>
      nock(endpoint)
        .post('/upload/storage/v1/b/bucket/o')
        .query({ name: nameOf(index), ifGenerationMatch: 0, uploadType: 'multipart' })
    const list = (items: object[]) =>
      nock(endpoint)
        .get('/storage/v1/b/bucket/o')
        .query({ prefix: `.unfinished/${sha256}` })
        .reply(200, { items })
    const missing = { error: { code: 404, message: 'No such object: bucket/a' } }
    nock(endpoint).get('/storage/v1/b/bucket/o/a').reply(404, missing)
    list([])
    upload(0).reply(503, { error: { code: 503, message: 'later' } })
    upload(0).reply(200, partOf(0))
    upload(1).reply(412, { error: { code: 412, message: 'conditionNotMet' } })
    nock(endpoint)
      .get(`/storage/v1/b/bucket/o/${encodeURIComponent(nameOf(1))}`)
      .reply(200, partOf(1))
    upload(2).reply(200, partOf(2))
    const composed: { sourceObjects?: unknown; destination?: { metadata?: unknown } }[] = []
    nock(endpoint)
      .post('/storage/v1/b/bucket/o/a/compose', (body) => composed.push(body) > 0)
      .query({ ifGenerationMatch: 0 })
      .reply(200, object(content))
    list([partOf(0)])
    nock(endpoint)
      .delete(`/storage/v1/b/bucket/o/${encodeURIComponent(nameOf(0))}`)
      .reply(204)
    nock(endpoint).get('/storage/v1/b/bucket/o/a').reply(200, object(content))
    const storage = await openGcsStorage(gcsStorageOptions.parse({ bucket: 'bucket', endpoint, partSize }))
    const expected = { sha256, size: content.length, keepExisting: true }
    const written = await storage.writer?.write('a', () => Readable.from([content]), expected)
    expect(written?.size).to.equal(content.length)
    expect(composed[0]?.sourceObjects).to.deep.equal(
      [0, 1, 2].map((index) => ({ name: nameOf(index), generation: 10 + index })),
    )
    expect(composed[0]?.destination?.metadata).to.deep.equal({ sha256 })
  })

  const upload = () =>
    nock(endpoint)
      .post('/upload/storage/v1/b/bucket/o')
      .query({ name: 'a', ifGenerationMatch: '7', uploadType: 'multipart' })
  const conflict = { error: { code: 412, message: 'conditionNotMet' } }
  const rewrite = async (content: Buffer) =>
    await (await open()).writer?.write(
      'a',
      () => Readable.from([content]),
      { size: content.length },
      { ifGeneration: '7' },
    )
  const isNow = (content: Buffer) => {
    nock(endpoint).get('/storage/v1/b/bucket/o/a').reply(200, object(content))
    nock(endpoint)
      .get('/storage/v1/b/bucket/o/a')
      .query((query) => query.alt === 'media')
      .reply(200, content, {
        'x-goog-hash': `crc32c=${object(content).crc32c}`,
        'x-goog-stored-content-encoding': 'identity',
      })
  }

  it('writes again after 503 and 429 (fault 34)', async () => {
    const content = Buffer.from('{"rev": "ours"}')
    upload().reply(503, { error: { code: 503, message: 'later' } })
    upload().reply(429, { error: { code: 429, message: 'slower' } })
    upload().reply(200, object(content))
    expect((await rewrite(content))?.size).to.equal(content.length)
  })

  it('knows its own write whose response was lost (fault 34)', async () => {
    const content = Buffer.from('{"rev": "ours"}')
    upload().replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    upload().reply(412, conflict)
    isNow(content)
    expect((await rewrite(content))?.size).to.equal(content.length)
  })

  it("takes another's write after a lost response for a conflict", async () => {
    upload().reply(503, { error: { code: 503, message: 'later' } })
    upload().reply(412, conflict)
    isNow(Buffer.from('{"rev": "other"}'))
    expect(await rewrite(Buffer.from('{"rev": "ours"}')).catch((error: Error) => error)).to.have.property(
      'code',
      'Conflict',
    )
  })

  it('removes again after 503, and takes it for done if it is gone (fault 34)', async () => {
    nock(endpoint)
      .delete('/storage/v1/b/bucket/o/a')
      .query({ ifGenerationMatch: '7' })
      .reply(503, { error: { code: 503 } })
    nock(endpoint)
      .delete('/storage/v1/b/bucket/o/a')
      .query({ ifGenerationMatch: '7' })
      .reply(404, { error: { code: 404, message: 'No such object: bucket/a' } })
    await (await open()).writer?.remove('a', { ifGeneration: '7' })
  })
})
