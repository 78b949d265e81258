import { Readable } from 'node:stream'
import { expect } from 'chai'
import { HubFailure } from '../../../../src/hub/index.ts'
import { bodyOfBytes } from '../../../../src/plugin/index.ts'
import type { UpstreamParts } from '../../../../src/server/answers/from-upstreams.ts'
import { assertNoLoop, upstreamHeaders } from '../../../../src/server/answers/upstream-request.ts'
import { answered, arriving, ask, declined, FakeUpstream, failureOf } from './fake-upstreams.ts'

const url = '/org/model/resolve/main/f'

describe('an upstream that is asked', () => {
  it('is told all that the request is, for a client, and nothing that is another’s', async () => {
    const upstream = new FakeUpstream('a', () => answered())
    const { signal } = new AbortController()
    const body = bodyOfBytes(Buffer.from('x'))
    const sealed: string[][] = []
    await ask([upstream], {
      ...{ id: 'the-id', signal, body, target: url, headers: { accept: 'x', cookie: 'c' } },
      parts: {
        pseudonym: 'this-mirror',
        sealFor:
          (target, kind, { name }) =>
          (away) => {
            sealed.push([target.pathname, kind, name, away])
            return '/-/follow/seal'
          },
      },
    })
    const { target, seal, ...asked } = upstream.asked[0] ?? expect.fail('it was not asked')
    expect(asked).to.deep.equal({
      ...{ id: 'the-id', method: 'POST', headers: { accept: 'x', via: '1.1 this-mirror' }, rights: { use: 'none' } },
      ...{ body, purpose: 'client', publicUrl: 'http://mirror/mirror', signal },
    })
    expect(target.canonical).to.equal(url)
    expect(seal?.('https://cdn.example/x')).to.equal('/-/follow/seal')
    expect(sealed).to.deep.equal([[url, 'read', 'a', 'https://cdn.example/x']])
  })

  it('gets these headers of a client’s, and no other', () => {
    const kept = [
      ...['accept', 'accept-encoding', 'accept-language', 'content-type', 'content-encoding', 'git-protocol', 'range'],
      ...['user-agent', 'last-event-id', 'traceparent', 'tracestate', 'x-amzn-trace-id', 'x-xet-session-id'],
      ...['if-match', 'if-none-match', 'if-range', 'x-hf-a'],
    ]
    const dropped = ['authorization', 'cookie', 'host', 'x-forwarded-for', 'x-other', 'a-if-match', 'x-hf']
    const headers = Object.fromEntries([...kept, ...dropped].map((name) => [name, name]))
    const values = { ...headers, 'x-hf-a': ['one', 'two'], 'if-range': undefined, via: '1.1 before' }
    expect(upstreamHeaders(values, 'this')).to.deep.equal({
      ...Object.fromEntries(kept.filter((name) => name !== 'if-range').map((name) => [name, name])),
      ...{ 'x-hf-a': 'one, two', via: '1.1 before, 1.1 this' },
    })
    expect(upstreamHeaders({}, 'this')).to.deep.equal({ via: '1.1 this' })
  })

  it('is not asked by a request that has come through here, which is told so', () => {
    expect(() => assertNoLoop({ via: '1.1 other,1.1  \t this' }, 'this'))
      .to.throw(HubFailure, 'leads back to it')
      .that.includes({ status: 508, code: 'LoopDetected' })
    for (const via of [undefined, '', '1.1 other', 'this 1.1'])
      expect(() => assertNoLoop({ via }, 'this')).not.to.throw()
  })

  it('can seal nothing where there is nothing to seal for', async () => {
    const upstream = new FakeUpstream('a', () => answered())
    await ask([upstream])
    expect(upstream.asked[0]).not.to.have.any.keys('seal', 'sealedUrl')
  })

  it('is asked within a span, whose headers it gets', async () => {
    const upstream = new FakeUpstream('a', () => answered())
    const spans: string[] = []
    const tracing: UpstreamParts['tracing'] = {
      asking: async (name, headers, within) => {
        spans.push(name)
        return await within({ ...headers, traceparent: 'of-the-span' })
      },
    }
    await ask([upstream], { parts: { tracing } })
    expect(spans).to.deep.equal(['a'])
    expect(upstream.asked[0]?.headers).to.include({ traceparent: 'of-the-span', via: '1.1 mirrorface-1' })
  })

  it('is the one whose capability it is; without it nobody is asked', async () => {
    const other = new FakeUpstream('other', () => answered())
    const capability = {
      ...{ url: 'https://cdn.example/x', upstream: 'gone', mayChange: false },
      repository: { type: 'model', id: 'org/model' } as const,
    }
    const failure = await failureOf(ask([other], { target: '/-/follow/seal', capability }))
    expect(failure).to.have.property('status', 502)
    expect(failure.message).to.include('not configured any more')
    expect(other.asked).to.have.length(0)
  })

  it('gets a body as it comes where no other could need it', async () => {
    for (const [upstreams, length, isRead] of [
      [1, 5, false],
      [2, 5, true],
      [2, 1024 * 1024, true],
      [2, 1024 * 1024 + 1, false],
      [2, undefined, false],
    ] as const) {
      const content = 'x'.repeat(length ?? 5)
      const asked = Array.from({ length: upstreams }, (_, index) => new FakeUpstream(`${index}`, () => answered()))
      await ask(asked, { body: arriving(content, length) })
      const [first] = asked
      expect(first?.asked[0]?.body?.bytes !== undefined, `${upstreams} ${length}`).to.equal(isRead)
      expect(first?.bodies).to.deep.equal([content])
    }
  })
})

describe('what an upstream answers', () => {
  it('is given as bytes or as a stream, as it is', async () => {
    const stream = Readable.from([Buffer.from('large')])
    for (const [body, expected] of [
      [Buffer.from('{}'), { kind: 'bytes', bytes: Buffer.from('{}') }],
      [stream, { kind: 'stream', stream }],
    ] as const) {
      const reply = await ask([new FakeUpstream('a', () => ({ ...answered([['x-a', 'b']], 206), body }))])
      expect(reply).to.deep.equal({
        ...{ status: 206, headers: [['x-a', 'b']], body: expected, source: 'a', outcome: 'fallback' },
      })
    }
  })

  it('is said to be stale where it is, however short a time', async () => {
    for (const staleFor of [undefined, 0, 7]) {
      const upstream = new FakeUpstream('a', () => ({ ...answered(), ...(staleFor !== undefined && { staleFor }) }))
      const { headers } = await ask([upstream])
      expect(headers).to.deep.equal(staleFor === undefined ? [] : [['cache-status', 'mirrorface; hit; detail=stale']])
    }
  })

  it('of content that another host made is nothing that a browser runs as ours', async () => {
    const capability = {
      ...{ url: 'https://cdn.example/x', upstream: 'a' },
      repository: { type: 'model', id: 'org/model' } as const,
      mayChange: false,
    }
    const theirs = ['content-security-policy', 'x-content-type-options', 'x-other'].map((name) => [name, 'v'] as const)
    for (const [target, isTheirs] of [
      ['/-/follow/seal', true],
      [`/-/lfs/models/org/model/${'a'.repeat(64)}`, true],
      [url, false],
    ] as const) {
      const upstream = new FakeUpstream('a', () => answered(theirs))
      const { headers } = await ask([upstream], { target, capability })
      expect(headers, target).to.deep.equal(
        isTheirs
          ? [
              ['x-other', 'v'],
              ['x-content-type-options', 'nosniff'],
              ['content-security-policy', "default-src 'none'; sandbox"],
            ]
          : theirs,
      )
    }
  })

  it('is no refusal that counts where any that is down was asked with more', async () => {
    const token = (name: string) => ({ use: 'client', token: name }) as const
    for (const down of [
      ['none', 'client'],
      ['client', 'none'],
    ])
      for (const refusal of [answered([], 401), answered([['x-error-code', 'RepoNotFound']], 404)]) {
        const upstreams = [...down, 'asked'].map(
          (name) => new FakeUpstream(name, () => (name === 'asked' ? refusal : declined())),
        )
        const rightsAt = ({ name }: { readonly name: string }) =>
          name === 'client' ? token('hf_a') : { use: 'none' as const }
        expect((await failureOf(ask(upstreams, { rightsAt }))).status).to.equal(503)
      }
  })

  it('of a loop is let go of, and the next is asked', async () => {
    const body = Readable.from([Buffer.from('loop')])
    const upstreams = [
      new FakeUpstream('round', () => ({ ...answered([], 508), body })),
      new FakeUpstream('b', () => answered()),
    ]
    expect((await ask(upstreams)).source).to.equal('b')
    expect(body.destroyed).to.equal(true)
    const failure = await failureOf(ask([new FakeUpstream('round', () => answered([], 508))]))
    expect([failure.status, failure.message.includes('"round" leads back')]).to.deep.equal([508, true])
  })

  it('keeps nothing of what orders the proxy in front about, and of the rest all', async () => {
    const orders = ['x-accel-redirect', 'x-accel-buffering', 'x-sendfile', 'x-sendfile-type', 'x-lighttpd-send-file']
    const dropped = [...orders, 'x-reproxy-url', 'access-control-allow-origin']
    const kept = ['x-accelerate', 'ax-accel-redirect', 'x-access-control-a', 'x-lighttpd-send-files', 'x-reproxy']
    const upstream = new FakeUpstream('a', () => answered([...dropped, ...kept].map((name) => [name, 'v'] as const)))
    expect((await ask([upstream])).headers.map(([name]) => name)).to.deep.equal(kept)
  })

  it('for want of any tells whose repository it was, why, once, and when to come back', async () => {
    for (const [target, subject] of [
      ['/api/models/org/model', 'org/model cannot be fetched'],
      ['/api/whoami-v2', 'this cannot be answered'],
    ] as const) {
      const upstreams = [declined(9.2), declined(), declined(4.1)].map(
        (one, index) => new FakeUpstream(`${index}`, () => one),
      )
      const failure = await failureOf(ask(upstreams, { target }))
      expect([failure.message, failure.retryAfter]).to.deep.equal([`${subject}, because it is down`, 5])
    }
    const cause = new Error('the network')
    const failing = [new FakeUpstream('a', () => ({ ...declined(), status: 504, cause }))]
    expect(await failureOf(ask(failing))).to.include({ status: 504, cause, retryAfter: undefined })
  })
})
