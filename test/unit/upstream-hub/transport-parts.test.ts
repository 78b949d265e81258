import { buffer } from 'node:stream/consumers'
import { mock } from 'node:test'
import { expect } from 'chai'
import { bodyOfBytes } from 'mirrorface/plugin'
import { forwardedHeaders } from '../../../plugins/upstream-hub/request-headers.ts'
import { abortable } from '../../../plugins/upstream-hub/transport/abortable.ts'
import {
  headerOf,
  isBodiless,
  isRedirect,
  lengthOf,
  listOf,
  withoutHeaders,
} from '../../../plugins/upstream-hub/transport/answer.ts'
import { Paused, RequestBodyFailed } from '../../../plugins/upstream-hub/transport/failures.ts'
import { Deadline } from '../../../plugins/upstream-hub/transport/limits.ts'
import { OutgoingBody } from '../../../plugins/upstream-hub/transport/outgoing-body.ts'
import { limitClassOf, Pauses } from '../../../plugins/upstream-hub/transport/pauses.ts'
import { streamBody } from '../../conformance/index.ts'

describe('pauses', () => {
  const now = Date.UTC(2026, 0, 1)
  const left = (pauses: Pauses, credentials = 'a', path = '/api/x'): number => {
    try {
      pauses.assertNone(credentials, path)
      return 0
    } catch (error) {
      if (!(error instanceof Paused)) throw error
      expect(error.seconds).to.be.greaterThan(0)
      return error.seconds
    }
  }

  for (const [headers, seconds] of [
    [{ 'retry-after': '7' }, 7],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '-7' }, 0],
    [{ 'retry-after': '7x' }, 0],
    [{ 'retry-after': 'soon' }, 0],
    [{ 'retry-after': new Date(now + 9_000).toUTCString() }, 9],
    [{ 'retry-after': '2026-01-01T00:00:09+00:00' }, 9],
    [{ 'retry-after': new Date(now - 9_000).toUTCString() }, 0],
    [{ 'retry-after': '100000' }, 300],
    [{ 'retry-after': '7', ratelimit: '"api";r=0;t=50' }, 7],
    [{ ratelimit: '"api";r=0;t=50' }, 50],
    [{ ratelimit: '"api";r=0; t=50' }, 50],
    [{ ratelimit: 'limit=1, reset=50' }, 0],
    [{}, 0],
  ] as const)
    it(`last as long as ${JSON.stringify(headers)} says: ${seconds} s`, () => {
      mock.timers.enable({ apis: ['Date'], now })
      try {
        const pauses = new Pauses()
        pauses.note('a', '/api/x', Object.entries(headers))
        expect(left(pauses)).to.equal(seconds)
        expect(left(pauses, 'b')).to.equal(0)
        mock.timers.setTime(now + seconds * 1000)
        expect(left(pauses)).to.equal(0)
      } finally {
        mock.timers.reset()
      }
    })

  it('are not shortened by a 429 that orders none', () => {
    for (const headers of [
      [['retry-after', '0']],
      [],
      [['retry-after', new Date(now - 9_000).toUTCString()]],
    ] as const) {
      mock.timers.enable({ apis: ['Date'], now })
      try {
        const pauses = new Pauses()
        pauses.note('a', '/api/x', [['retry-after', '60']])
        pauses.note('a', '/api/x', headers)
        expect(left(pauses)).to.equal(60)
      } finally {
        mock.timers.reset()
      }
    }
  })

  it('hold for the class of a route, and the one that is named', () => {
    const paths = { api: '/api/resolve/x', resolvers: '/o/n/resolve/main/f', pages: '/api' }
    for (const [name, path] of Object.entries(paths)) expect(limitClassOf(path)).to.equal(name)
    expect(limitClassOf('/api/resolve-cache/x')).to.equal('resolvers')
    for (const [ratelimit, named] of [
      ['"pages";r=0;t=5', 'pages'],
      ['resolvers ;r=0;t=5', 'resolvers'],
      [' "resolvers";r=0;t=5', 'resolvers'],
      ['x "resolvers";r=0;t=5', undefined],
      ['"other";r=0;t=5', undefined],
    ] as const) {
      const pauses = new Pauses()
      pauses.note('a', paths.api, [['ratelimit', ratelimit]])
      const paused = Object.entries(paths).filter(([, path]) => left(pauses, 'a', path) > 0)
      expect(paused.map(([name]) => name)).to.deep.equal(
        ['api', ...(named === undefined ? [] : [named])].toSorted(
          (a, b) => Object.keys(paths).indexOf(a) - Object.keys(paths).indexOf(b),
        ),
      )
    }
  })
})

describe('bodies on their way', () => {
  const sent = async (body: OutgoingBody) => (await buffer(body.stream)).toString()

  it('are framed by what they are', async () => {
    for (const [body, framing, text] of [
      [bodyOfBytes(Buffer.from('abc')), { 'content-length': '3' }, 'abc'],
      [bodyOfBytes(Buffer.alloc(0)), { 'content-length': '0' }, ''],
      [streamBody(3, [Buffer.from('a'), Buffer.from('bc')]), { 'content-length': '3' }, 'abc'],
      [streamBody(undefined, [Buffer.from('abc')]), { 'transfer-encoding': 'chunked' }, 'abc'],
    ] as const) {
      const outgoing = new OutgoingBody(body)
      expect(outgoing.framing).to.deep.equal(framing)
      expect(await sent(outgoing)).to.equal(text)
      expect(outgoing.failure).to.equal(undefined)
      expect(outgoing.isStuck(0)).to.equal(false)
    }
  })

  it('fail where they are not as long as announced, or their source fails', async () => {
    async function* failing() {
      yield Buffer.from('a')
      throw new Error('cut')
    }
    for (const [body, reason] of [
      [streamBody(2, [Buffer.from('abc')]), 'longer than announced'],
      [streamBody(4, [Buffer.from('abc')]), 'shorter than announced'],
      [streamBody(undefined, failing()), "the request's body failed: cut"],
    ] as const) {
      const outgoing = new OutgoingBody(body)
      const error = await sent(outgoing).catch((one: unknown) => one)
      expect(error).to.be.instanceOf(RequestBodyFailed)
      expect(outgoing.failure).to.equal(error)
      expect(outgoing.failure?.message).to.include(reason)
    }
  })

  it('are stuck while bytes are not taken, and not before there are any', async () => {
    const arrived = Promise.withResolvers<Buffer>()
    async function* late() {
      yield await arrived.promise
    }
    const outgoing = new OutgoingBody(streamBody(undefined, late()))
    outgoing.stream.once('readable', () => undefined)
    expect(outgoing.isStuck(0)).to.equal(false)
    arrived.resolve(Buffer.from('a'))
    while (!outgoing.isStuck(0)) await new Promise((resolve) => setImmediate(resolve))
    expect(outgoing.isStuck(60_000)).to.equal(false)
    expect(await sent(outgoing)).to.equal('a')
    expect(outgoing.isStuck(0)).to.equal(false)
  })
})

describe('small things of the wire', () => {
  it('read headers and statuses', () => {
    const headers = [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ].map(([name = '', value = '']) => [name, value] as const)
    expect([headerOf(headers, 'a'), headerOf(headers, 'c')]).to.deep.equal(['1', undefined])
    expect([listOf(headers, 'a'), listOf(headers, 'b'), listOf(headers, 'c')]).to.deep.equal(['1, 3', '2', undefined])
    expect(withoutHeaders(headers, new Set(['a', 'c']))).to.deep.equal([['b', '2']])
    for (const [value, length] of [
      ['0', 0],
      ['12', 12],
      ['-1', undefined],
      ['1x', undefined],
      ['x1', undefined],
      ['', undefined],
      ['1234567890123456', undefined],
    ] as const)
      expect(lengthOf([['content-length', value]]), value).to.equal(length)
    const statuses = Array.from({ length: 500 }, (_, index) => 100 + index)
    expect(statuses.filter(isRedirect)).to.deep.equal([301, 302, 303, 307, 308])
    expect(statuses.filter((status) => isBodiless('GET', status))).to.deep.equal([204, 205, 304])
    expect(isBodiless('HEAD', 200)).to.equal(true)
  })

  it('wait no longer than the signal says', async () => {
    const life = new AbortController()
    expect(await abortable(async () => 1, life.signal)).to.equal(1)
    const waiting = abortable(() => new Promise(() => undefined), life.signal).catch((error: unknown) => error)
    life.abort('left')
    expect(await waiting).to.equal('left')
    expect(await abortable(async () => 1, life.signal).catch((error: unknown) => error)).to.equal('left')
  })

  it('count deadlines from now, or not at all', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const calls: string[] = []
      const [none, soon] = [new Deadline(undefined), new Deadline(1_000)]
      const cancel = soon.watch(() => calls.push('cancelled'))
      soon.watch(() => calls.push('over'))
      none.watch(() => calls.push('never'))()
      cancel()
      mock.timers.tick(500)
      expect([calls, none.isOver, soon.isOver]).to.deep.equal([[], false, false])
      mock.timers.tick(500)
      expect(calls).to.deep.equal(['over'])
      expect(soon.isOver).to.equal(true) // whatever other clocks say
      expect(new Deadline(0).isOver).to.equal(true)
    } finally {
      mock.timers.reset()
    }
  })

  it('pass on what is end to end, with the id of the request', () => {
    const kept = [
      ...['accept', 'accept-encoding', 'accept-language', 'content-type', 'content-encoding', 'git-protocol', 'range'],
      ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'user-agent', 'via'],
      ...['last-event-id', 'traceparent', 'tracestate', 'x-amzn-trace-id', 'x-xet-session-id', 'x-hf-a'],
    ]
    const dropped = ['authorization', 'cookie', 'host', 'connection', 'x-hf', 'x-other', 'if-other', 'a-x-hf-']
    const given = Object.fromEntries([...kept, ...dropped].map((name) => [name, name]))
    expect(forwardedHeaders(given, 'id')).to.deep.equal({
      'x-request-id': 'id',
      ...Object.fromEntries(kept.map((name) => [name, name])),
    })
  })
})
