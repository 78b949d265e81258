import { randomBytes } from 'node:crypto'
import { mock } from 'node:test'
import { expect } from 'chai'
import { assertContent, ContentHasher, Crc32c, partsOf } from 'mirrorface/plugin'
import { isMissingObject, isTransient, noCredentials, statusOf, unavailable } from './gcs-errors.ts'
import { toStat } from './gcs-object.ts'
import { retryTransient } from './retry-transient.ts'

const failed = (fields: object, message = 'it failed') => Object.assign(new Error(message), fields)

describe("an error of Google's client", () => {
  it('has its status wherever the client puts it', () => {
    for (const [error, status] of [
      [failed({ code: 404 }), 404],
      [failed({ code: '503' }), 503],
      [failed({ code: 'ECONNRESET', status: 429 }), 429],
      [failed({ response: { status: 412 } }), 412],
      [failed({ code: 7, status: 500 }), 500],
      [failed({ code: 600, status: 599 }), 599],
      [failed({ code: 99, status: 100 }), 100],
      [failed({ code: 404.5 }), undefined],
      [failed({}), undefined],
      ['a text', undefined],
      [undefined, undefined],
    ] as const)
      expect(statusOf(error)).to.equal(status)
  })

  it('is worth another attempt where the service is overloaded or the connection broke, and nowhere else', () => {
    const broken = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE']
    for (const code of [408, 429, 500, 503, ...broken]) expect(isTransient(failed({ code })), `${code}`).to.equal(true)
    for (const code of [400, 401, 403, 404, 409, 412, 499, 'ENOSPC'])
      expect(isTransient(failed({ code })), `${code}`).to.equal(false)
    expect(isTransient(failed({}, 'request failed: socket hang up'))).to.equal(true)
    expect(isTransient(failed({ cause: failed({ code: 'EPIPE' }) }))).to.equal(true)
    expect(isTransient(failed({ cause: failed({}) }))).to.equal(false)
    // What the service has answered counts for more than how the connection ended.
    expect(isTransient(failed({ code: 403, cause: failed({ code: 'EPIPE' }) }))).to.equal(false)
    expect(isTransient('a text')).to.equal(false)
  })

  it('of a missing object is told from that of a missing bucket', () => {
    for (const [message, isObject] of [
      ['No such object: bucket/a', true],
      ['Not Found', true],
      ['The specified bucket does not exist.', false],
      ['Bucket not found', false],
      ['The object of the bucket does not exist', true],
      ['the bucket is odd', true],
    ] as const)
      expect(isMissingObject(failed({ code: 404 }, message)), message).to.equal(isObject)
    expect(isMissingObject(failed({ code: 403 }, 'No such object'))).to.equal(false)
  })

  it('says in a sentence what to do', () => {
    for (const [error, asked, sentence] of [
      [failed({}, 'Could not load the default credentials. Browse to …'), 'object', noCredentials],
      [
        failed({ code: 401 }, 'Invalid Credentials\nand more'),
        'object',
        'the credentials are not accepted for bucket b: Invalid Credentials',
      ],
      [
        failed({ code: 403 }, 'denied'),
        'object',
        'no permission for bucket b: grant roles/storage.objectUser to write, roles/storage.objectViewer to read (denied)',
      ],
      [failed({ code: 404 }, 'Not Found'), 'listing', 'bucket b does not exist'],
      [failed({ code: 404 }, 'Not Found'), 'object', 'Not Found'],
      [failed({ code: 404 }, 'The specified bucket does not exist.'), 'object', 'bucket b does not exist'],
      [failed({ code: 500 }, 'odd\nlines'), 'object', 'odd'],
      ['a text', 'object', 'a text'],
    ] as const) {
      const told = unavailable('b', error, asked)
      expect(told).to.include({ code: 'StorageUnavailable', transient: isTransient(error), cause: error })
      expect(told.message)
        .to.contain('gcs')
        .and.to.match(new RegExp(`${sentence.replaceAll(/[()./…]/g, '.')}$`))
    }
  })
})

describe('what the service says of an object', () => {
  it('is told by the key below the prefix, with what there is of checksum and generation', () => {
    const updated = '2026-01-01T00:00:00.000Z'
    const at = { key: 'a/b', size: 7, updatedAt: new Date(updated) }
    const metadata = { name: 'some/prefix/a/b', size: '7', updated }
    expect(toStat('some/prefix/', metadata)).to.deep.equal(at)
    expect(toStat('', { ...metadata, name: 'a/b' })).to.deep.equal(at)
    expect(toStat('some/prefix/', { ...metadata, crc32c: 'x', generation: 12 })).to.deep.equal({
      ...at,
      crc32c: 'x',
      generation: '12',
    })
    expect(toStat('', { name: 'a', size: 0 })).to.deep.equal({ key: 'a', size: 0, updatedAt: new Date(0) })
  })
})

describe('a request to the service', () => {
  it('is made again after faults that may pass, up to twelve times, and knows how many came before', async () => {
    mock.method(Math, 'random', () => -1) // no pause: 0.5 + -1 / 2
    try {
      for (const failures of [0, 1, 11, 12]) {
        const seen: number[] = []
        const made = retryTransient(async (earlier) => {
          seen.push(earlier)
          if (earlier < failures) throw failed({ code: 503 })
          return 'done'
        })
        const outcome = await made.catch((error: { code: unknown }) => error.code)
        expect(outcome).to.equal(failures < 12 ? 'done' : 503)
        expect(seen).to.deep.equal(Array.from({ length: Math.min(failures + 1, 12) }, (_, index) => index))
      }
    } finally {
      mock.restoreAll()
    }
  })

  it('is not made again after a fault that stays, nor once nobody waits for it', async () => {
    let made = 0
    const refused = retryTransient(async () => {
      made++
      throw failed({ code: 403 })
    })
    expect(await refused.catch((error: { code: unknown }) => error.code)).to.equal(403)
    const stop = new AbortController()
    const waiting = retryTransient(
      async () => {
        made++
        throw failed({ code: 503 })
      },
      { signal: stop.signal },
    )
    await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    expect(await waiting.catch((error: Error) => error.name)).to.equal('AbortError')
    const late = retryTransient(async () => made++, { signal: stop.signal })
    expect(await late.catch((error: Error) => error.name)).to.equal('AbortError')
    expect(made).to.equal(2)
  })
})

describe('content on its way to the service', () => {
  it('is cut into parts that are filled whole, in order, however it arrives', async () => {
    for (const size of [0, 1, 99, 100, 101, 199, 200, 201, 1000])
      for (const pieceSize of [1, 7, 100, 101, 350, 1000]) {
        const content = randomBytes(size)
        const taken: Buffer[] = []
        const body = async function* () {
          for (let offset = 0; offset < size; offset += pieceSize) yield content.subarray(offset, offset + pieceSize)
        }
        const parts: Buffer[] = []
        for await (const part of partsOf(
          'key',
          body(),
          size,
          100,
          async (bytes) => void taken.push(Buffer.from(bytes)),
        ))
          parts.push(Buffer.from(part))
        expect(Buffer.concat(parts).equals(content), `${size} by ${pieceSize}`).to.equal(true)
        expect(Buffer.concat(taken).equals(content)).to.equal(true)
        expect(parts.map(({ length }) => length)).to.deep.equal(
          Array.from({ length: Math.ceil(size / 100) }, (_, index) => Math.min(100, size - index * 100)),
        )
      }
  })

  it('has a part that stays as it is until the one after the next', async () => {
    const body = async function* () {
      yield Buffer.from('aabbcc')
    }
    const parts: Buffer[] = []
    for await (const part of partsOf('key', body(), 6, 2, async () => undefined)) {
      parts.push(part)
      if (parts.length === 2) expect(parts.map(String)).to.deep.equal(['aa', 'bb'])
    }
    expect(String(parts[2])).to.equal('cc')
  })

  it('is refused as soon as there is more of it than was said', async () => {
    const body = async function* () {
      for (;;) yield Buffer.alloc(60)
    }
    const parts = Array.fromAsync(partsOf('key', body(), 100, 1000, async () => undefined))
    const error = await parts.catch((caught: Error) => caught)
    expect(error).to.have.property('code', 'ContentMismatch')
    expect(error).to.have.property('message').that.contains('key: expected 100 bytes, found more')
  })

  it('is compared with what was expected, size and hash', async () => {
    const bytes = Buffer.from('content')
    const sha256 = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73'
    const check = async (expected: object, size = bytes.length) => {
      using hash = new ContentHasher().start(bytes.length)
      await hash.update(bytes)
      return await assertContent('key', expected, size, hash).catch((error: Error) => error.message)
    }
    for (const right of [{}, { size: 7 }, { sha256 }, { size: 7, sha256 }])
      expect(await check(right)).to.equal(undefined)
    expect(await check({ size: 8 })).to.contain('key: expected 8 bytes, found 7')
    expect(await check({ sha256: 'f'.repeat(64) })).to.contain(`expected SHA-256 ${'f'.repeat(64)}, found ${sha256}`)
  })

  it('has the checksum that the service computes (RFC 3720, B.4)', () => {
    for (const [bytes, checksum] of [
      [Buffer.alloc(32), 'ipE2qg=='],
      [Buffer.alloc(32, 0xff), 'YqirQw=='],
    ] as const) {
      const sum = new Crc32c()
      sum.update(bytes.subarray(0, 10))
      sum.update(bytes.subarray(10))
      expect(sum.toString()).to.equal(checksum)
      expect(sum.validate(checksum)).to.equal(true)
      expect(sum.validate('AAAAAA==')).to.equal(false)
    }
  })
})
