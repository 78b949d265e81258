import { PassThrough, Readable } from 'node:stream'
import { expect } from 'chai'
import { type HeaderList, ReadingBudget } from 'mirrorface/plugin'
import { readBounded } from '../../../plugins/upstream-hub/cache/bounded-body.ts'
import { freshened, type KeptAnswer, reused, sizeOf } from '../../../plugins/upstream-hub/cache/kept-answer.ts'
import { sharedHeaders } from '../../../plugins/upstream-hub/cache/shared-headers.ts'
import { NobodyWaits, SharedQuestion } from '../../../plugins/upstream-hub/cache/shared-question.ts'
import { carriesSecret, expiryOfUrl } from '../../../plugins/upstream-hub/cache/signed-url.ts'
import { bodyOf } from '../../conformance/index.ts'

describe('headers of shared questions', () => {
  for (const [given, expected] of [
    ['gzip', 'gzip'],
    ['GZIP , br', 'br, gzip'],
    ['zstd,deflate,gzip,br', 'br, deflate, gzip, zstd'],
    ['gzip;q=0', 'identity'],
    ['gzip;q=0.000', 'identity'],
    ['gzip;q=0.5', 'gzip'],
    ['gzip; q=1.000 ', 'gzip'],
    ['identity', 'identity'],
    ['*', 'identity'],
    ['', 'identity'],
    ['unheard-of', 'identity'],
    ['gzip;q=2', undefined],
    ['gzip;q=0.1234', undefined],
    ['gzip;xq=1', undefined],
    ['gzip;q=1x', undefined],
    ['gzip;q=1;a', undefined],
    ['gzip;', undefined],
    ['identity;q=0', undefined],
    ['*;q=0', undefined],
    ['identity;q=0.1', 'identity'],
  ] as const)
    it(`say which codings are accepted, in one order: ${given}`, () => {
      expect(sharedHeaders({ 'accept-encoding': given })?.['accept-encoding']).to.equal(expected)
    })

  it('are few and short, and any other keeps a question to itself', () => {
    expect(sharedHeaders({})).to.deep.equal({ accept: '*/*', 'accept-encoding': 'identity' })
    expect(sharedHeaders({ accept: 'a', via: '1.1 x' })).to.deep.equal({
      ...{ accept: 'a', 'accept-encoding': 'identity', via: '1.1 x' },
    })
    for (const name of [
      ...['accept-language', 'content-type', 'user-agent', 'traceparent', 'tracestate', 'x-amzn-trace-id'],
      ...['x-xet-session-id', 'x-request-id', 'x-hf-a', 'if-none-match'],
    ])
      expect(sharedHeaders({ [name]: 'v' }), name).to.deep.equal({ accept: '*/*', 'accept-encoding': 'identity' })
    for (const name of ['range', 'if-match', 'x-hfa', 'cookie', ''])
      expect(sharedHeaders({ [name]: 'v', 'user-agent': 'x' }), name).to.equal(undefined)
    for (const name of ['accept', 'via', 'accept-encoding']) {
      expect(sharedHeaders({ [name]: 'q'.repeat(256) }), name).not.to.equal(undefined)
      for (const value of ['q'.repeat(257), 'ä', 'a\tb', 'a\nb', '\u007f'])
        expect(sharedHeaders({ [name]: value }), name).to.equal(undefined)
    }
  })
})

describe('bodies that are read within bounds', () => {
  const chunks = (...sizes: number[]) => sizes.map((size, index) => Buffer.alloc(size, String(index)))
  const read = async (sizes: readonly number[], budget: ReadingBudget, announced?: number) =>
    await readBounded(Readable.from(chunks(...sizes)), announced, 10, budget)

  it('are bytes up to the limit, and whole streams beyond it', async () => {
    for (const sizes of [[], [1], [10], [5, 5], [11], [5, 6], [5, 5, 1], [1, 1, 100, 7]]) {
      const budget = new ReadingBudget(1_000)
      const total = sizes.reduce((sum, size) => sum + size, 0)
      const body = await read(sizes, budget)
      expect(body instanceof Uint8Array, sizes.join()).to.equal(total <= 10)
      expect((await bodyOf({ body })).equals(Buffer.concat(chunks(...sizes)))).to.equal(true)
      expect([budget.tryTake(1_001), budget.tryTake(1_000)]).to.deep.equal([false, true])
    }
  })

  it('are not touched where they are announced as too large', async () => {
    const body = Readable.from(chunks(1))
    expect(await readBounded(body, 11, 10, new ReadingBudget(100))).to.equal(body)
    expect(await read([10], new ReadingBudget(100), 10)).to.be.instanceOf(Uint8Array)
  })

  it('are streams where others hold the memory, which they give back', async () => {
    const budget = new ReadingBudget(8)
    expect(budget.tryTake(4)).to.equal(true)
    const body = await read([3, 3], budget)
    expect(body).not.to.be.instanceOf(Uint8Array)
    expect((await bodyOf({ body })).length).to.equal(6)
    expect([budget.tryTake(5), budget.tryTake(4)]).to.deep.equal([false, true])
  })

  it('fail as their source does, before and after they became streams', async () => {
    const failing = async (sizes: readonly number[]) => {
      const source = new PassThrough()
      for (const chunk of chunks(...sizes)) source.write(chunk)
      const bounded = readBounded(source, undefined, 10, new ReadingBudget(100))
      setImmediate(() => source.destroy(new Error('cut')))
      return await bounded
        .then((body) => bodyOf({ body }))
        .then(
          () => 'whole',
          (error: Error) => error.message,
        )
    }
    expect([await failing([5]), await failing([11])]).to.deep.equal(['cut', 'cut'])
  })
})

describe('kept answers', () => {
  const kept = (headers: HeaderList, initialAge = 0): KeptAnswer => ({
    answer: { status: 200, headers, body: Buffer.alloc(10) },
    validator: undefined,
    askedAt: 0,
    at: Date.now() - 5_500,
    storability: { isShareable: true, isStorable: true, freshFor: 0, staleFor: 0, initialAge },
  })

  it('come with their age, and stale ones with how long they are so', () => {
    const answer = kept(
      [
        ['age', '99'],
        ['x', 'y'],
      ],
      2_000,
    )
    expect(reused(answer, false)).to.deep.equal({
      ...answer.answer,
      headers: [
        ['x', 'y'],
        ['age', '7'],
      ],
    })
    expect(reused(answer, true).staleFor).to.equal(5)
  })

  it('are freshened by what is not of their body', () => {
    const ofBody = ['content-length', 'content-encoding', 'content-type', 'content-range', 'etag']
    const update = [...ofBody, 'x', 'new'].map((name) => [name, 'update'] as const)
    const before = [...ofBody, 'x', 'age', 'other'].map((name) => [name, 'kept'] as const)
    expect(freshened(before, update)).to.deep.equal([
      ...ofBody.map((name) => [name, 'kept']),
      ['other', 'kept'],
      ['x', 'update'],
      ['new', 'update'],
    ])
  })

  it('are counted with their texts', () => {
    expect(sizeOf(kept([]), 'abc')).to.equal(500 + 6 + 10)
    expect(
      sizeOf(
        kept([
          ['ab', 'c'],
          ['d', ''],
        ]),
        '',
      ),
    ).to.equal(500 + 10 + (6 + 50) + (2 + 50))
  })
})

describe('one question for many', () => {
  const asking = () => {
    const reply = Promise.withResolvers<string>()
    const asked: AbortSignal[] = []
    const question = new SharedQuestion((signal) => {
      asked.push(signal)
      return reply.promise
    })
    return { question, reply, asked }
  }
  const leaving = () => {
    const client = new AbortController()
    return { client, left: (asked: Promise<string>) => asked.catch((error: unknown) => error) }
  }

  it('is asked once, and ends when the last one that waits has gone', async () => {
    const { question, asked } = asking()
    const [one, other] = [leaving(), leaving()]
    const answers = [one, other].map(({ client, left }) => left(question.answer(client.signal)))
    one.client.abort('one')
    expect(await answers[0]).to.equal('one')
    expect(asked.map(({ aborted }) => aborted)).to.deep.equal([false])
    other.client.abort('other')
    expect(await answers[1]).to.equal('other')
    expect(asked[0]?.reason).to.be.instanceOf(NobodyWaits)
  })

  it('goes on where its answer is wanted later, and is not ended once it has come', async () => {
    for (const isKept of [true, false]) {
      const { question, reply, asked } = asking()
      const { client, left } = leaving()
      if (isKept) question.keepGoing()
      else reply.resolve('answer')
      const answer = left(question.answer(client.signal))
      if (isKept) client.abort('left')
      expect(await answer).to.equal(isKept ? 'left' : 'answer')
      expect(asked[0]?.aborted).to.equal(false)
    }
  })
})

describe('URLs that are signed', () => {
  const at = Date.UTC(2026, 10, 25, 3, 17)
  const minute = 60_000
  // As CloudFront has it: base64 without what has a meaning in URLs.
  const policy = (text: string) =>
    Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('=', '_').replaceAll('/', '~')

  for (const [query, expected] of [
    ['X-Amz-Date=20261125T031700Z&X-Amz-Expires=600', at + 600_000 - minute],
    ['x-goog-date=20261125T031700Z&x-goog-expires=0', at - minute],
    ['X-Amz-Date=20261125T031700Z', undefined],
    ['X-Amz-Expires=600', undefined],
    ['X-Amz-Date=x20261125T031700Z&X-Amz-Expires=600', undefined],
    ['X-Amz-Date=20261125T031700Zx&X-Amz-Expires=600', undefined],
    ['X-Amz-Date=20261325T031700Z&X-Amz-Expires=600', undefined],
    ['X-Amz-Date=20261125T031700Z&X-Amz-Expires=x', undefined],
    [`Expires=${at / 1000}`, at - minute],
    ['EXPIRES=1', 1_000 - minute],
    ['Expires=x1', undefined],
    ['Expires=1x', undefined],
    ['Expires=1234567890123', undefined],
    ['se=2026-11-25T03:17:00Z', at - minute],
    ['se=never', undefined],
    [`Policy=${policy('{"AWS:EpochTime" : 7}')}`, 7_000 - minute],
    [`Policy=${policy('{"a":"~~?>>>???","AWS:EpochTime":12345}')}`, 12_345_000 - minute],
    [`Policy=${policy('{"AWS:EpochTime":x}')}`, undefined],
    [`X-Amz-Date=20261125T031700Z&X-Amz-Expires=600&Expires=1&se=2026-11-25T03:17:00Z`, at + 600_000 - minute],
    ['a=b', undefined],
  ] as const)
    it(`say until when: ${query}`, () => void expect(expiryOfUrl(`https://cdn.x/a?${query}`)).to.equal(expected))

  it('are told by the names in their queries', () => {
    for (const name of [
      ...['amz', 'goog', 'oss', 'cos', 'ms', 'bz', 'tos', 'obs'].map((vendor) => `X-${vendor}-a`),
      ...['sig', 'se', 'sp', 'sv', 'sr', 'auth', 'authorization', 'jwt', 'policy', 'key-pair-id', 'hmac', 'code'],
      ...['ticket', 'session', 'sessionid', 'aSignatureB', 'credentials', 'api_key', 'api-key', 'apikey', 'access_key'],
      ...['accesskey', 'secret', 'password', 'passwd', 'mytoken'],
    ])
      expect(carriesSecret(`a=b&${name}=x`), name).to.equal(true)
    for (const name of ['x-other-a', 'xx-amz-a', 'sigx', 'xse', 'author', 'policyx', 'codec', 'sessions', 'api', 'key'])
      expect(carriesSecret(`${name}=x`), name).to.equal(false)
  })
})
